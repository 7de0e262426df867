import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SimulatedCluster } from './cluster.ts';
import { installed, MINUTE, settle } from './stories.ts';

function pass(cluster: SimulatedCluster, name: string): void {
  cluster.report(name, (status) => {
    status.probes = [{ name: 'registry', result: 'Pass', at: new Date(cluster.nowMs).toISOString() }];
  });
}

describe('a node whose agent does not begin, since a probe fails already', () => {
  it('is no failure: nothing was touched, and the revision stays on trial', () => {
    const cluster = installed(3, { maxFailures: 1, canary: { count: 1, soak: '0s' } });
    cluster.reconcile();
    cluster.refuse('n1');
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'False/PreflightFailed');
    assert.equal(cluster.condition('all', 'Degraded'), 'True/BaselineProbeFailed');
    const { nodes, revision, problems = [] } = cluster.profile('all').status ?? {};
    assert.deepEqual([nodes?.failed, nodes?.blocked, revision?.rejected], [0, 1, undefined]);
    assert.deepEqual(
      problems.map(({ node, reason }) => [node, reason]),
      [['n1', 'BaselineProbeFailed']],
    );
    assert.match(cluster.message('all', 'Progressing'), /registry/);
    assert.deepEqual(cluster.moved(), { n1: 'nftables*' }, 'nobody else starts');
  });

  it('is tried again by itself once its probes pass', () => {
    const cluster = installed(2, { maxFailures: 1 });
    cluster.reconcile();
    cluster.refuse('n1');
    const attempt = () => cluster.states.get('n1')?.spec.attempt?.id;
    const first = attempt();
    cluster.nowMs += MINUTE;
    assert.deepEqual(cluster.reconcile().actions, []);
    pass(cluster, 'n1');
    cluster.reconcile();
    assert.notEqual(attempt(), first);
    settle(cluster, 'n1');
    settle(cluster, 'n2');
    assert.equal(cluster.condition('all', 'Progressing'), 'False/Complete');
  });

  it('gives its place to another canary while fewer than maxFailures refuse', () => {
    const cluster = installed(3, { maxFailures: 2, canary: { count: 1, soak: '0s' } });
    cluster.reconcile();
    cluster.refuse('n1');
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*', n2: 'nftables*' });
    settle(cluster, 'n2');
    assert.deepEqual(cluster.moved(), { n1: 'nftables*', n2: 'nftables', n3: 'nftables*' });
    cluster.refuse('n3');
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'False/NodesBlocked', 'and says what it waits for');
  });

  it('goes on only when it is asked to, where its agent does not say how probes fare', () => {
    const cluster = installed(1, { maxFailures: 1 });
    cluster.reconcile();
    cluster.refuse('n1');
    cluster.report('n1', (status) => delete status.probes);
    cluster.nowMs += MINUTE;
    assert.deepEqual(cluster.reconcile().actions, []);
    cluster.editProfile('all', { rollout: { maxFailures: 1, retryToken: 'again' } });
    assert.equal(cluster.reconcile().actions.length, 1);
  });
});

describe('a node whose clock is ahead', () => {
  for (const says of [true, false]) {
    it(`is tried again${says ? '' : ' once its old failure is older, where its agent does not say which try failed'}`, () => {
      const cluster = installed(1, { maxFailures: 2, canary: { count: 0 } });
      cluster.reconcile();
      cluster.fail('n1');
      cluster.report('n1', (status, { spec }) => {
        const at = new Date(cluster.nowMs + 10 * MINUTE).toISOString();
        if (status.lastFailure === undefined) assert.fail('no failure');
        status.lastFailure = {
          ...status.lastFailure,
          at,
          ...(says && spec.attempt ? { attempt: spec.attempt.id } : {}),
        };
      });
      cluster.reconcile();
      assert.equal(cluster.profile('all').status?.nodes?.failed, 1);
      cluster.nowMs += MINUTE;
      cluster.editProfile('all', { rollout: { maxFailures: 2, canary: { count: 0 }, retryToken: 'again' } });
      cluster.reconcile();
      cluster.reconcile();
      const { inProgress, failed } = cluster.profile('all').status?.nodes ?? {};
      assert.deepEqual([inProgress, failed], says ? [1, 0] : [0, 1]);
    });
  }
});

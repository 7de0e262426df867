import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { installed, kubelet, MINUTE, settle } from './stories.ts';
import type { SimulatedCluster } from './cluster.ts';

const QUICK = { canary: { soak: '0s' } };

/** n1 and n2 run the new revision, n3 is the one that fails. */
function failing(rollout: object = {}): SimulatedCluster {
  const cluster = installed(5, { ...QUICK, ...rollout });
  cluster.reconcile();
  settle(cluster, 'n1');
  settle(cluster, 'n2');
  assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables', n3: 'nftables*' });
  cluster.fail('n3');
  return cluster;
}

function reconcileWith(cluster: SimulatedCluster, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    cluster.reconcile();
    cluster.succeed('n1', 'n2', 'n3', 'n4', 'n5');
  }
  cluster.reconcile();
}

describe('a revision that fails', () => {
  it('is remembered before anything goes back, then the newest batch goes first', () => {
    const cluster = failing();
    const { spec } = cluster.profile('all');
    assert.deepEqual(cluster.reconcile().actions, []);
    const [rejected] = cluster.profile('all').status?.revision?.rejected ?? [];
    assert.deepEqual([rejected?.scope, rejected?.cause], ['All', 'VerifyFailed']);
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), {
      n1: 'nftables',
      n2: 'iptables*',
      n3: 'iptables',
      n4: 'iptables',
      n5: 'iptables',
    });
    assert.equal(cluster.condition('all', 'Progressing'), 'True/RollingBack');
    reconcileWith(cluster, 4);
    assert.deepEqual(cluster.moved(), {});
    assert.equal(cluster.condition('all', 'Progressing'), 'False/Rejected');
    assert.equal(cluster.condition('all', 'Degraded'), 'True/RolledBack');
    assert.match(cluster.message('all', 'Degraded'), /n3 failed: map is short of 3 elements/);
    assert.equal(cluster.condition('all', 'Available'), 'False/RolloutIncomplete');
    assert.deepEqual(cluster.profile('all').spec, spec);
    for (const reason of ['RevisionRejected', 'RollbackStarted', 'RollbackCompleted']) {
      assert.equal(cluster.events.filter((each) => each === reason).length, 1, reason);
    }
  });

  it('is not tried again by a knob, by a restart or by time, but by another token', () => {
    const cluster = failing();
    reconcileWith(cluster, 6);
    cluster.nowMs += 24 * 60 * MINUTE;
    cluster.editProfile('all', { rollout: { ...QUICK, maxFailures: 9 } });
    assert.deepEqual(cluster.reconcile().actions, []);
    cluster.editProfile('all', { rollout: { ...QUICK, retryToken: 'again' } });
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*' });
    assert.equal(cluster.profile('all').status?.revision?.rejected, undefined);
    assert.equal(cluster.batches()['n1'], 0);
  });

  it('tried again within the second is not taken for what failed', () => {
    const cluster = failing();
    cluster.report('n3', (status, { spec }) => {
      if (status.lastFailure && spec.attempt) status.lastFailure = { ...status.lastFailure, attempt: spec.attempt.id };
    });
    reconcileWith(cluster, 6);
    cluster.editProfile('all', { rollout: { ...QUICK, maxUnavailable: 5, retryToken: 'again' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    const first = cluster.states.get('n3')?.status?.attempt?.id;
    assert.notEqual(cluster.states.get('n3')?.spec.attempt?.id, first);
    assert.equal(cluster.granted()['n3'], 'nftables*');
    assert.equal(cluster.profile('all').status?.revision?.rejected, undefined);
  });

  it('gives way to another one, which starts with its own canary', () => {
    const cluster = failing();
    reconcileWith(cluster, 6);
    cluster.editProfile('all', { masqueradeBit: 15, rollout: QUICK });
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'True/CanaryRunning');
    assert.equal(cluster.profile('all').status?.revision?.rejected, undefined);
  });

  it('takes no slot to cure what is ill on it, and ignores windows and soaks', () => {
    const cluster = failing({ batchSoak: '0s' });
    cluster.fail('n3', false);
    cluster.setReady('n1', 'False');
    cluster.editProfile('all', { rollout: { ...QUICK, windows: [{ start: '12:00', end: '12:01' }], batchSoak: '1h' } });
    cluster.reconcile();
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), {
      n1: 'iptables*',
      n2: 'nftables',
      n3: 'iptables*',
      n4: 'iptables',
      n5: 'iptables',
    });
    cluster.succeed('n1', 'n3');
    cluster.reconcile();
    assert.equal(cluster.granted()['n2'], 'iptables*');
  });

  it('goes back by the batch that failed only, if so wished', () => {
    const cluster = failing({ onFailure: { fleet: 'RollbackBatch' }, maxUnavailable: 1 });
    reconcileWith(cluster, 4);
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables' });
    assert.equal(cluster.condition('all', 'Progressing'), 'False/Rejected');
    assert.deepEqual(cluster.plan().actions, []);
  });

  it('stops where it is, if so wished, and goes on with another token', () => {
    const cluster = failing({ onFailure: { fleet: 'Pause' } });
    reconcileWith(cluster, 0);
    assert.deepEqual(cluster.plan().actions, []);
    assert.equal(cluster.condition('all', 'Paused'), 'True/FailureBudgetSpent');
    cluster.editProfile('all', { rollout: { ...QUICK, onFailure: { fleet: 'Pause' }, retryToken: 'x' } });
    reconcileWith(cluster, 6);
    assert.equal(cluster.condition('all', 'Available'), 'True/AllNodesReady');
  });

  it('has nowhere to go back to when it is the first one', () => {
    const cluster = installed(2, QUICK);
    const all = cluster.profile('all');
    const { status: _status, ...fresh } = all;
    cluster.profiles.set('all', { ...fresh, metadata: { ...all.metadata, uid: 'anew' } });
    cluster.states.clear();
    cluster.reconcile();
    cluster.fail('n1', false);
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Paused'), 'True/FailureBudgetSpent');
    assert.deepEqual(cluster.plan().actions, []);
  });

  it('says which node cannot go back', () => {
    const cluster = failing();
    cluster.reconcile();
    cluster.reconcile();
    cluster.fail('n2', false);
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Degraded'), 'True/RollbackFailed');
    assert.match(cluster.message('all', 'Degraded'), /n2 could not go back/);
    assert.ok(cluster.events.includes('RollbackFailed'));
  });

  it('a node that rolled itself back blocks nobody while maxFailures allows more', () => {
    const cluster = failing({ maxFailures: 2 });
    cluster.reconcile();
    assert.equal(cluster.granted()['n4'], 'nftables*');
    assert.equal(cluster.condition('all', 'Degraded'), 'True/NodeFailed');
    assert.equal(cluster.profile('all').status?.nodes?.rolledBack, 1);
  });

  it('is not rejected while the profile is paused', () => {
    const cluster = failing();
    cluster.editProfile('all', { rollout: { ...QUICK, paused: true } });
    cluster.reconcile();
    assert.deepEqual(cluster.plan().actions, []);
    assert.equal(cluster.profile('all').status?.revision?.rejected, undefined);
  });

  it('a node whose kubelet went silent in the switch counts as failed at its deadline', () => {
    const cluster = installed(3, QUICK);
    cluster.reconcile();
    kubelet(cluster, 'n1', 'Unknown');
    cluster.nowMs += 5 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.profile('all').status?.revision?.rejected?.[0]?.cause, 'NoAnswer');
  });
});

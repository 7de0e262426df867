import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planRollout } from '../../../../src/core/rollout/rollout.ts';
import { installed, MINUTE, settle } from './stories.ts';

describe('an agent that cannot read what it programs', () => {
  it('has its node wait, and no change is judged by it', () => {
    const cluster = installed(3, { canary: { soak: '1m' } });
    cluster.reconcile();
    cluster.succeed('n1');
    cluster.setBlind('n1');
    cluster.nowMs += 10 * MINUTE;
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*' }, 'it keeps its slot past its deadline');
    assert.match(cluster.message('all', 'Progressing'), /n1 cannot be judged until its agent can read Services again/);
    assert.equal(cluster.condition('all', 'Degraded'), 'True/InputsStale');
    assert.deepEqual(cluster.profile('all').status?.problems?.[0], {
      node: 'n1',
      reason: 'InputsStale',
      message: 'said InputsStale',
    });
    settle(cluster, 'n1');
    assert.equal(cluster.condition('all', 'Progressing'), 'True/Soaking');
    cluster.nowMs += MINUTE;
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables*' });
  });

  it('holds the soak, and however long it lasts the revision is not rejected for it', () => {
    const cluster = installed(3, { canary: { soak: '1m' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    for (const name of ['n1', 'n2', 'n3']) cluster.setBlind(name);
    for (let round = 0; round < 10; round += 1) {
      cluster.nowMs += 5 * MINUTE;
      cluster.reconcile();
    }
    assert.deepEqual(cluster.moved(), { n1: 'nftables' });
    assert.deepEqual(cluster.profile('all').status?.revision?.rejected, undefined);
    assert.match(cluster.message('all', 'Progressing'), /waits until n1 is well/);
    for (const name of ['n1', 'n2', 'n3']) cluster.setReady(name, 'True', cluster.nowMs);
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables*' });
  });

  it('is not started, though a node that does not serve would be first', () => {
    const cluster = installed(2, { canary: { count: 1, soak: '0s' }, maxFailures: 2, maxUnavailable: 2 });
    cluster.setBlind('n1');
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n2: 'nftables*' });
    assert.match(JSON.stringify(cluster.profile('all').status?.problems), /n1.*InputsStale/);
  });

  it('goes back from a rejected revision in its turn: all may have gone blind at once', () => {
    const cluster = installed(4, { canary: { count: 0 }, maxUnavailable: 4, onFailure: { fleet: 'RollbackAll' } });
    cluster.reconcile();
    cluster.succeed('n2', 'n3', 'n4');
    cluster.fail('n1');
    cluster.reconcile();
    assert.equal(cluster.profile('all').status?.revision?.rejected?.length, 1);
    cluster.editProfile('all', { rollout: { canary: { count: 0 }, maxUnavailable: 1 } });
    for (const name of ['n2', 'n3', 'n4']) cluster.setBlind(name);
    cluster.reconcile();
    const leaving = Object.values(cluster.granted()).filter((mode) => mode === 'iptables*');
    assert.equal(leaving.length, 1);
  });
});

describe('a controller that was cut off', () => {
  it('lets agents speak before it calls them late, as after an outage that they shared', () => {
    const cluster = installed(2, { canary: { count: 0 } });
    cluster.reconcile();
    cluster.nowMs += 10 * MINUTE;
    const hearing = { ...cluster.input(), hearsSinceMs: cluster.nowMs - 1_000 };
    const [planned] = planRollout(hearing).profiles;
    assert.deepEqual(planned?.status.revision?.rejected, undefined);
    assert.equal(planned?.status.nodes?.failed, 0);
    assert.equal(planRollout(hearing).wakeAtMs, cluster.nowMs - 1_000 + MINUTE);
    const heard = planRollout({ ...hearing, hearsSinceMs: cluster.nowMs - 10 * MINUTE }).profiles[0];
    assert.equal(heard?.status.revision?.rejected?.length, 1, 'it heard all the time since it granted');
    const later = planRollout({ ...hearing, nowMs: cluster.nowMs + MINUTE }).profiles[0];
    assert.equal(later?.status.revision?.rejected?.length, 1);
  });
});

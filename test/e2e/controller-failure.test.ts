import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SkippingClock } from '../fakes/skipping-clock.ts';
import { ControllerCluster, type RunningController } from './controller-cluster.ts';
import { NodePool } from './node-pool.ts';

const MINUTE = 60_000;
const REVISIONS = '/apis/apps/v1/namespaces/kube-system/controllerrevisions';

/** With the real controller, one profile a story; see docs/rollout.md. */
describe('what fails', { timeout: 300_000 }, () => {
  let cluster: ControllerCluster;
  let clock: SkippingClock;
  let running: RunningController;

  before(async () => {
    clock = new SkippingClock();
    cluster = await ControllerCluster.start();
    running = cluster.run('one', {}, { clock });
  });
  after(() => cluster.close());

  /** Nodes 1 and 2 run the new revision, node 3 is under way. */
  async function twoMoved(name: string, rollout: object = {}): Promise<NodePool> {
    const at = { cluster, clock };
    const pool = await NodePool.changing(at, name, 4, { canary: { count: 0 }, batchSoak: '0s', ...rollout });
    for (const index of [1, 2]) {
      await pool.untilGranted({ [index]: 'nftables*' });
      await pool.act('Committed', index);
    }
    await pool.untilGranted({ 1: 'nftables', 2: 'nftables', 3: 'nftables*', 4: 'iptables' });
    return pool;
  }

  const rejectedBy = async (pool: NodePool) => (await pool.profile()).status?.revision?.rejected?.[0]?.cause;

  it('the fleet goes back, what is ill at once and without a slot, the rest newest batch first', async () => {
    const pool = await twoMoved('all-back');
    await pool.report(1, pool.ready('False', 'SyncFailing'));
    await pool.act('RolledBack', 3);
    await pool.untilRejected('VerifyFailed');
    await pool.untilGranted({ 1: 'iptables*', 2: 'nftables' });
    await pool.act('Committed', 1);
    await pool.until('Progressing=False/Rejected', pool.nodes);
    assert.deepEqual(await pool.granted(), { 1: 'iptables', 2: 'iptables', 3: 'iptables', 4: 'iptables' });
    assert.equal((await pool.profile()).spec.mode, 'nftables', 'the spec is nobody else’s to edit');
  });

  it('RollbackBatch: only the batch that failed goes back', async () => {
    const pool = await twoMoved('batch-back', { onFailure: { fleet: 'RollbackBatch' } });
    await pool.act('RolledBack', 3);
    await pool.until('Progressing=False/Rejected');
    assert.deepEqual(await pool.granted(), { 1: 'nftables', 2: 'nftables', 3: 'iptables', 4: 'iptables' });
  });

  it('Pause: nothing goes on and nothing goes back, until a token', async () => {
    const pool = await twoMoved('paused', { onFailure: { fleet: 'Pause' } });
    await pool.act('RolledBack', 3);
    await pool.until('Paused=True/FailureBudgetSpent');
    assert.equal((await pool.granted())['4'], 'iptables');
    await pool.edit({ rollout: { retryToken: 'mended' } });
    await pool.until('Progressing=False/Complete', pool.nodes);
  });

  it('below maxFailures the others go on', async () => {
    const pool = await twoMoved('budget', { maxFailures: 2 });
    await pool.act('RolledBack', 3);
    await pool.untilGranted({ 4: 'nftables*' });
    await pool.until('Degraded=True/NodeFailed');
    assert.equal(await rejectedBy(pool), undefined);
  });

  it('a rejected revision is not tried again by knobs or by a new controller, but by a token', async () => {
    const pool = await twoMoved('remembered');
    await pool.act('RolledBack', 3);
    await pool.untilRejected('VerifyFailed');
    await pool.until('Progressing=False/Rejected', pool.nodes);
    await running.stop();
    running = cluster.run('two', {}, { clock });
    await pool.edit({ rollout: { maxFailures: 9, maxUnavailable: 4 } });
    await pool.until('Progressing=False/Rejected');
    assert.deepEqual(await pool.granted(), { 1: 'iptables', 2: 'iptables', 3: 'iptables', 4: 'iptables' });
    await pool.edit({ rollout: { retryToken: 'again' } });
    await pool.until('Progressing=False/Complete', pool.nodes);
    assert.equal(await rejectedBy(pool), undefined);
  });

  it('a node that cannot go back is named, and counts for the rollback, not for the revision', async () => {
    const pool = await twoMoved('stuck');
    await pool.act('RolledBack', 3);
    await pool.untilGranted({ 2: 'iptables*' });
    await pool.act('RolledBack', 2);
    await pool.until('Degraded=True/RollbackFailed');
    assert.ok((await pool.events()).includes('RollbackFailed'));
    await pool.untilProblem('2', 'VerifyFailed');
  });

  it('a gate that failed before the change makes its node no candidate, and is shown', async () => {
    const at = { cluster, clock };
    const pool = await NodePool.changing(at, 'baseline', 2, { canary: { count: 0 }, maxFailures: 2, paused: true });
    const probe = { name: 'ClusterDNS', result: 'Fail', message: 'no answer', at: new Date().toISOString() };
    await pool.report(1, { probes: [probe] });
    await pool.edit({ rollout: { paused: false } });
    await pool.untilGranted({ 1: 'iptables', 2: 'nftables*' });
    await pool.untilProblem('1', 'BaselineProbeFailed');
    await pool.report(1, { probes: [{ ...probe, result: 'Pass' }] });
    await pool.act('Committed', 2);
    await pool.until('Progressing=False/Complete', pool.nodes);
  });

  it('a node that refuses the change, since a probe fails before it, is no failure and is tried again', async () => {
    const at = { cluster, clock };
    const pool = await NodePool.changing(at, 'refusing', 2, { canary: { count: 1, soak: '0s' }, maxFailures: 1 });
    await pool.untilGranted({ 1: 'nftables*' });
    const [{ metadata, spec: first } = assert.fail('no state')] = await pool.states();
    const now = new Date().toISOString();
    const probes = [{ name: 'registry', result: 'Fail', message: 'refused', at: now }];
    const about = { attempt: first.attempt?.id, revision: first.revision, rolledBack: true, at: now };
    await pool.report(1, {
      observedGeneration: metadata.generation,
      attempt: { id: first.attempt?.id, phase: 'RolledBack', startedAt: now },
      lastFailure: { ...about, phase: 'Baseline', code: 'BaselineProbeFailed', message: 'registry (refused)' },
      probes,
    });
    await pool.until('Progressing=False/PreflightFailed');
    await pool.untilProblem('1', 'BaselineProbeFailed');
    assert.equal((await pool.profile()).status?.revision?.rejected, undefined);
    await pool.report(1, { probes: [{ ...probes[0], result: 'Pass' }] });
    await pool.until('Progressing=False/Complete', pool.nodes);
    const reasons = await pool.events();
    assert.ok(reasons.includes('NodeSkipped') && !reasons.includes('RevisionRejected'), reasons.join());
  });

  it('a node that falls ill after its change fails the revision, once it stays so', async () => {
    const at = { cluster, clock };
    const pool = await NodePool.changing(at, 'ill-later', 2, { canary: { count: 1, soak: '1h' }, nodeDeadline: '5m' });
    await pool.untilGranted({ 1: 'nftables*' });
    await pool.act('Committed', 1);
    await pool.until('Progressing=True/Soaking');
    await pool.report(1, pool.ready('False', 'StaleProgramming'));
    await pool.untilProblem('1', 'StaleProgramming');
    clock.skip(6 * MINUTE);
    await pool.untilRejected('StaleProgramming');
    await pool.untilGranted({ 1: 'iptables*' });
  });

  it('any of the last revisions can be gone back to, and ten are kept', async () => {
    const at = { cluster, clock };
    const pool = await NodePool.changing(at, 'history', 1, { canary: { count: 0 }, batchSoak: '0s' });
    await pool.until('Progressing=False/Complete', pool.nodes);
    const first = (await pool.profile()).status?.revision?.target;
    for (let bit = 1; bit <= 10; bit++) {
      await pool.edit({ masqueradeBit: bit });
      await pool.until('Progressing=False/Complete', pool.nodes);
    }
    const kept = async () => {
      const { items } = (await cluster.call('GET', REVISIONS)) as {
        items: {
          revision: number;
          metadata: { annotations: Record<string, string>; labels: Record<string, string> };
        }[];
      };
      return items
        .filter(({ metadata }) => metadata.annotations['switchyard.dev/profile'] === 'history')
        .sort((a, b) => a.revision - b.revision)
        .map(({ metadata }) => metadata.labels['switchyard.dev/revision']);
    };
    assert.equal((await kept()).length, 10);
    await pool.edit({ masqueradeBit: 5 });
    await pool.until('Progressing=False/Complete', pool.nodes);
    const target = (await pool.profile()).status?.revision?.target;
    assert.equal((await kept()).at(-1), target, 'the one that was gone back to is the newest');
    assert.equal((await kept()).length, 10);
    assert.ok(!(await kept()).includes(first));
  });
});

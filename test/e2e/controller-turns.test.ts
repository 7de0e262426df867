import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SkippingClock } from '../fakes/skipping-clock.ts';
import { ControllerCluster, type RunningController } from './controller-cluster.ts';
import { NodePool } from './node-pool.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** With the real controller, one profile a story; see docs/rollout.md. The leader changes in the middle of each. */
describe('a rollout that is turned', { timeout: 300_000 }, () => {
  let cluster: ControllerCluster;
  let clock: SkippingClock;
  let running: RunningController;
  let count = 0;

  before(async () => {
    clock = new SkippingClock();
    cluster = await ControllerCluster.start();
    running = cluster.run('first', {}, { clock });
  });
  after(() => cluster.close());

  async function changeLeader(): Promise<void> {
    await running.stop();
    running = cluster.run(`leader-${(count += 1)}`, {}, { clock });
  }

  const changing = (name: string, nodes: number, rollout: object = {}) =>
    NodePool.changing({ cluster, clock }, name, nodes, { canary: { count: 0 }, ...rollout });

  /** Node 1 runs the new revision, node 2 is under way. */
  async function midway(name: string, rollout: object = {}): Promise<NodePool> {
    const pool = await changing(name, 3, rollout);
    await pool.untilGranted({ 1: 'nftables*' });
    await pool.act('Committed', 1);
    await pool.untilGranted({ 1: 'nftables', 2: 'nftables*', 3: 'iptables' });
    return pool;
  }

  const count1 = async (pool: NodePool, reason: string) =>
    (await pool.events()).filter((each) => each === reason).length;

  it('back in mid-flight: all nodes end where they were, and nothing is rejected', async () => {
    const pool = await midway('back');
    await pool.edit({ mode: 'iptables' });
    await changeLeader();
    await pool.until('Progressing=False/Complete', pool.nodes);
    assert.deepEqual(await pool.granted(), { 1: 'iptables', 2: 'iptables', 3: 'iptables' });
    assert.equal((await pool.profile()).status?.revision?.rejected, undefined);
    assert.equal(await count1(pool, 'RolloutSuperseded'), 1);
  });

  it('to another revision while it goes back from a rejected one', async () => {
    const pool = await midway('twice');
    await pool.act('RolledBack', 2);
    await pool.untilRejected('VerifyFailed');
    await pool.untilGranted({ 1: 'iptables*' });
    await changeLeader();
    await pool.edit({ masqueradeBit: 15 });
    await pool.act('Committed', 1);
    await pool.untilGranted({ 1: 'nftables*' });
    await pool.act('RolledBack', 1);
    await pool.untilRejected('VerifyFailed');
    await changeLeader();
    await pool.until('Progressing=False/Rejected', pool.nodes);
    assert.deepEqual(await pool.granted(), { 1: 'iptables', 2: 'iptables', 3: 'iptables' });
    assert.equal(await count1(pool, 'RevisionRejected'), 2);
    assert.equal(await count1(pool, 'RollbackStarted'), 2);
  });

  it('by hand to where it is going back by itself', async () => {
    const pool = await midway('by-hand');
    await pool.act('RolledBack', 2);
    await pool.untilGranted({ 1: 'iptables*' });
    await changeLeader();
    await pool.edit({ mode: 'iptables' });
    await pool.until('Progressing=False/Complete', pool.nodes);
    await pool.until('Degraded=False/AsExpected');
    assert.equal((await pool.profile()).status?.revision?.rejected, undefined);
  });

  it('by percentages of one, two and three nodes: one at a time, and all in the end', async () => {
    for (const nodes of [1, 2, 3]) {
      const pool = await changing(`percent-${nodes}`, nodes, { maxUnavailable: nodes === 3 ? '50%' : '10%' });
      await pool.untilGranted({ 1: 'nftables*' });
      if (nodes === 2) await changeLeader();
      assert.equal(Object.values(await pool.granted()).filter((mode) => mode.endsWith('*')).length, 1);
      await pool.until('Progressing=False/Complete', pool.nodes);
    }
  });

  for (const onDelete of ['Keep', 'Release']) {
    it(`by the end of its profile while it is paused: ${onDelete}`, async () => {
      const name = `deleted-${onDelete.toLowerCase()}`;
      const pool = await midway(name, { maxUnavailable: 1 });
      await pool.edit({ onDelete, rollout: { paused: true } });
      await pool.act('Committed', 2);
      await pool.until('Progressing=False/Paused');
      await pool.untilGranted({ 1: 'nftables', 2: 'nftables', 3: 'iptables' });
      const { finalizers = [] } = (await pool.profile()).metadata;
      assert.equal(finalizers.length, onDelete === 'Keep' ? 0 : 1);
      await cluster.deleteProfile(name);
      await changeLeader();
      if (onDelete === 'Release') {
        for (const node of [1, 2, 3]) {
          await pool.untilGranted({ [node]: 'released' });
          await letGo(pool, node);
        }
      }
      await cluster.until('it is gone', () =>
        pool.profile().then(
          () => false,
          () => true,
        ),
      );
      const expected = onDelete === 'Keep' ? { 1: 'nftables', 2: 'nftables', 3: 'iptables' } : {};
      await cluster.until('its nodes are as it said', async () => {
        assert.deepEqual(await pool.granted(), expected);
        return true;
      });
    });
  }

  /** The agent has taken everything of ours out. */
  async function letGo(pool: NodePool, index: number): Promise<void> {
    const state = (await pool.states()).find(({ spec }) => spec.nodeName === `${pool.name}-${index}`);
    await pool.report(index, { observedGeneration: state?.metadata.generation, current: null });
  }

  for (const [what, skewMs] of Object.entries({ behind: -6 * HOUR, ahead: 6 * HOUR })) {
    it(`by nobody, where the clock of a node is hours ${what}: a short illness is none, a long one is`, async () => {
      const rollout = { canary: { count: 1, soak: '30m' }, nodeDeadline: '5m' };
      const pool = await changing(`clock-${what}`, 2, rollout);
      const at = (status: string, reason: string) => {
        const lastTransitionTime = new Date(clock.now() + skewMs).toISOString();
        return { conditions: [{ type: 'Ready', status, reason, message: 'said so', lastTransitionTime }] };
      };
      await pool.untilGranted({ 1: 'nftables*' });
      await pool.act('Committed', 1);
      await pool.report(1, at('True', 'Ready'));
      await pool.until('Progressing=True/Soaking');
      clock.skip(10 * MINUTE);
      await pool.report(1, at('False', 'StaleProgramming'));
      await pool.untilProblem('1', 'StaleProgramming');
      await changeLeader();
      clock.skip(MINUTE);
      await pool.report(1, at('True', 'Ready'));
      await pool.until('Progressing=True/Soaking');
      await cluster.until('it is well', async () => ((await pool.profile()).status?.problems ?? []).length === 0);
      assert.ok(!(await pool.events()).includes('NodeFailed'));
      await pool.report(1, at('False', 'StaleProgramming'));
      await pool.untilProblem('1', 'StaleProgramming');
      clock.skip(6 * MINUTE);
      await pool.untilRejected('StaleProgramming');
      await pool.until('Progressing=False/Rejected', pool.nodes);
    });
  }
});

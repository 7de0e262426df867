import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SkippingClock } from '../fakes/skipping-clock.ts';
import { ControllerCluster } from './controller-cluster.ts';
import { NodePool } from './node-pool.ts';

const MINUTE = 60_000;

/** With the real controller, one profile a story; see docs/rollout.md. */
describe('the life of nodes and profiles', { timeout: 300_000 }, () => {
  let cluster: ControllerCluster;
  let clock: SkippingClock;

  before(async () => {
    clock = new SkippingClock();
    cluster = await ControllerCluster.start();
    cluster.run('one', {}, { clock });
  });
  after(() => cluster.close());

  const changing = (name: string, count: number, rollout: object = {}) =>
    NodePool.changing({ cluster, clock }, name, count, { canary: { count: 0 }, ...rollout });

  it('a new node gets what is proven until the canary has passed, then what is new', async () => {
    const pool = await changing('new', 3, { canary: { count: 1, soak: '10m' }, maxUnavailable: 5 });
    await pool.untilGranted({ 1: 'nftables*' });
    await pool.addNode('new-4');
    await pool.untilGranted({ 4: 'iptables*' });
    await pool.act('Committed', 1, 4);
    await pool.until('Progressing=True/Soaking');
    clock.skip(10 * MINUTE);
    await pool.untilGranted({ 2: 'nftables*' });
    await pool.addNode('new-5');
    await pool.untilGranted({ 5: 'nftables*' });
    await pool.until('Progressing=False/Complete', pool.nodes);
  });

  it('a node that is deleted while it changes holds nobody up', async () => {
    const pool = await changing('deleted', 3);
    await pool.untilGranted({ 1: 'nftables*', 2: 'iptables' });
    await cluster.call('DELETE', '/api/v1/nodes/deleted-1');
    await pool.untilGranted({ 2: 'nftables*' });
    await pool.until('Progressing=False/Complete', pool.nodes);
  });

  it('a node that reboots takes a place for a while, and counts as no failure', async () => {
    const pool = await changing('rebooted', 3);
    await pool.untilGranted({ 1: 'nftables*' });
    await pool.act('Committed', 1);
    await pool.untilGranted({ 1: 'nftables', 2: 'nftables*' });
    await pool.report(1, pool.ready('False', 'NeverSynced'));
    await pool.act('Committed', 2);
    await pool.until('Progressing=True/WaitingForSlot');
    assert.equal((await pool.granted())['3'], 'iptables');
    await pool.report(1, pool.ready('True', 'Ready'));
    await pool.until('Progressing=False/Complete', pool.nodes);
    assert.ok(!(await pool.events()).includes('NodeFailed'));
  });

  it('a node that is not Ready is waited for, and left out when it is for long, until it is back', async () => {
    const pool = await changing('silent', 2, { paused: true });
    await pool.setKubelet('silent-1', 'Unknown');
    await pool.edit({ rollout: { paused: false } });
    await pool.until('Progressing=True/WaitingForSlot');
    clock.skip(11 * MINUTE);
    await pool.untilGranted({ 1: 'iptables', 2: 'nftables*' });
    await pool.untilProblem('1', 'NodeNotReady');
    await pool.act('Committed', 2);
    await pool.until('Progressing=False/Complete', ['silent-2']);
    await pool.setKubelet('silent-1', 'True');
    await pool.untilGranted({ 1: 'nftables*' });
  });

  it('a cordoned or tainted node changes in its turn', async () => {
    const pool = await changing('cordoned', 1, { paused: true });
    const taints = [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }];
    await cluster.call('PATCH', '/api/v1/nodes/cordoned-1', { spec: { unschedulable: true, taints } });
    await pool.edit({ rollout: { paused: false } });
    await pool.untilGranted({ 1: 'nftables*' });
  });

  it('a Windows node is skipped, with the reason', async () => {
    const pool = await changing('windows', 1, { paused: true });
    await pool.addNode('windows-2', { 'kubernetes.io/os': 'windows' });
    await pool.edit({ rollout: { paused: false } });
    await pool.until('Progressing=False/Complete', ['windows-1']);
    await pool.untilProblem('2', 'UnsupportedOperatingSystem');
    assert.equal((await pool.profile()).status?.nodes?.skipped, 1);
    assert.ok((await pool.events()).includes('NodeSkipped'));
  });

  it('pools go each by their own, and a node that changes its pool runs what that one says', async () => {
    const [one, two] = [await changing('left', 2), await changing('right', 2)];
    await one.untilGranted({ 1: 'nftables*', 2: 'iptables' });
    await two.untilGranted({ 1: 'nftables*', 2: 'iptables' });
    await one.until('Progressing=False/Complete', one.nodes);
    await two.edit({ mode: 'iptables' });
    await two.until('Progressing=False/Complete', two.nodes);
    await one.label('left-2', { pool: 'right' });
    await cluster.until('the node is brought to the mode of its new pool', async () => {
      const state = (await cluster.states()).get('left-2');
      return state?.spec.profile.name === 'right' && state.spec.rendered.mode === 'iptables';
    });
    await cluster.until('its old pool has lost it', async () => (await one.profile()).status?.nodes?.matched === 1);
  });

  it('an edit in mid-flight lets the node under way end, then leads all to the newest', async () => {
    const pool = await changing('edited', 2);
    await pool.untilGranted({ 1: 'nftables*' });
    await pool.until('Progressing=True/BatchRunning');
    await pool.edit({ masqueradeBit: 15 });
    await pool.until('Progressing=True/BatchRunning');
    const old = (await pool.states()).find(({ spec }) => spec.attempt !== undefined)?.spec.revision;
    await pool.act('Committed', 1);
    await pool.until('Progressing=False/Complete', pool.nodes);
    assert.ok((await pool.states()).every(({ spec }) => spec.revision !== old && spec.rendered.masqueradeBit === 15));
    assert.equal((await pool.events()).filter((reason) => reason === 'RolloutSuperseded').length, 1);
  });

  it('agents of other versions: one that says less is trusted with less, and none is in the way', async () => {
    const pool = await changing('mixed', 2, { paused: true });
    // An older one that knows no preflight, no probes and no Lease; a newer one that tries gates nobody here has heard of.
    await pool.report(1, { preflight: null, probes: null });
    const at = new Date().toISOString();
    await pool.report(2, {
      probes: [{ name: 'GateOfTomorrow', result: 'Fail', at }],
      preflight: { kernel: '7.9', modes: ['iptables', 'nftables'], missing: [], tools: ['a tool of tomorrow'] },
    });
    await pool.edit({ rollout: { paused: false } });
    await pool.until('Progressing=False/Complete', pool.nodes);
  });

  it('a profile that is deleted in mid-rollout leaves its nodes as they are', async () => {
    const pool = await changing('kept', 2);
    await pool.untilGranted({ 1: 'nftables*' });
    await cluster.deleteProfile('kept');
    await pool.act('Committed', 1);
    // The next story is told by the same controller, so it has seen the deletion by then.
    const other = await changing('other', 1);
    await other.untilGranted({ 1: 'nftables*' });
    assert.deepEqual(await pool.granted(), { 1: 'nftables*', 2: 'iptables' });
  });

  it('a profile that is deleted with onDelete: Release goes when its nodes have let go', async () => {
    const pool = await changing('released', 2, { maxUnavailable: 1, nodeDeadline: '5m' });
    await pool.edit({ onDelete: 'Release' });
    await cluster.until('the finalizer is there', async () => (await pool.profile()).metadata.finalizers?.length === 1);
    await cluster.deleteProfile('released');
    await cluster.until('one is asked', async () => {
      return Object.values(await pool.granted()).filter((what) => what === 'released').length === 1;
    });
    clock.skip(6 * MINUTE);
    await cluster.until(
      'the other is asked',
      async () => Object.values(await pool.granted()).join() === 'released,released',
    );
    clock.skip(6 * MINUTE);
    await cluster.until('it is gone', () =>
      pool.profile().then(
        () => false,
        () => true,
      ),
    );
    assert.ok((await pool.events()).includes('NodeSkipped'), 'who did not answer is named');
  });
});

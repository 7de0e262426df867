import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_NODE_LABEL } from '../../../../src/core/api/kube-proxy-config.ts';
import { FINALIZER } from '../../../../src/core/rollout/release.ts';
import { proxyProfileStatus } from '../../../../src/core/api/proxy-profile.ts';
import { node, profile, ready, SimulatedCluster } from './cluster.ts';
import { installed, kubelet, MINUTE, settle } from './stories.ts';

describe('new nodes', () => {
  const cases: [newNodes: string, before: string, after: string][] = [
    ['Auto', 'iptables*', 'nftables*'],
    ['LastGood', 'iptables*', 'iptables*'],
    ['Target', 'nftables*', 'nftables*'],
  ];
  for (const [newNodes, before, after] of cases) {
    it(`${newNodes}: ${before} before the canary has passed, ${after} after`, () => {
      const windows = [{ start: '12:00', end: '12:01' }];
      const cluster = installed(4, { newNodes, maxUnavailable: 3, canary: { soak: '10m' } });
      cluster.reconcile();
      cluster.nodes.set('new1', node('new1'));
      cluster.reconcile();
      assert.equal(cluster.granted()['new1'], before);
      settle(cluster, 'n1', 'new1');
      cluster.nowMs += 10 * MINUTE;
      // New nodes wait for no window.
      cluster.editProfile('all', { rollout: { newNodes, maxUnavailable: 3, windows } });
      cluster.nodes.set('new2', node('new2'));
      cluster.reconcile();
      assert.equal(cluster.granted()['new2'], after);
    });
  }

  it('join a completed rollout without canary, soak or window', () => {
    const cluster = installed(1, { canary: { count: 0 } });
    for (let round = 0; round < 3; round++) {
      cluster.reconcile();
      cluster.succeed('n1');
    }
    cluster.editProfile('all', { rollout: { canary: { count: 1 }, windows: [{ start: '12:00', end: '12:01' }] } });
    cluster.nodes.set('n2', node('n2'));
    cluster.reconcile();
    assert.equal(cluster.granted()['n2'], 'nftables*');
  });

  it('that fail keep no other new node from being installed', () => {
    const cluster = installed(1, { canary: { count: 0 } });
    settle(cluster, 'n1');
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.nodes.set('n2', node('n2'));
    cluster.nodes.set('n3', node('n3'));
    cluster.reconcile();
    cluster.fail('n2', false);
    cluster.reconcile();
    assert.equal(cluster.granted()['n3'], 'nftables*');
    assert.equal(cluster.profile('all').status?.revision?.rejected, undefined);
  });
});

describe('nodes come and go', () => {
  it('a node that is deleted in flight holds nothing up', () => {
    const cluster = installed(3, { canary: { count: 0 } });
    cluster.reconcile();
    cluster.nodes.delete('n1');
    cluster.states.delete('n1');
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n2: 'nftables*' });
  });

  it('a canary that is replaced under its name is tried again', () => {
    const cluster = installed(3, { canary: { soak: '1m' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.nodes.set('n1', { metadata: { ...node('n1').metadata, uid: 'anew' } });
    cluster.reconcile();
    cluster.reconcile();
    assert.equal(cluster.granted()['n1'], 'iptables*');
    settle(cluster, 'n1');
    assert.equal(cluster.condition('all', 'Progressing'), 'True/CanaryRunning');
    assert.equal(Object.keys(cluster.moved()).length, 1);
  });

  it('a rebooted node that serves nothing for a while takes a slot, and counts as no failure when it comes back', () => {
    const cluster = installed(3, { canary: { count: 0 } });
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.succeed('n2');
    cluster.setReady('n1', 'False', cluster.nowMs);
    cluster.reconcile();
    cluster.reconcile();
    assert.equal(cluster.granted()['n3'], 'iptables');
    cluster.nowMs += MINUTE;
    cluster.setReady('n1', 'True', cluster.nowMs);
    cluster.reconcile();
    assert.equal(cluster.granted()['n3'], 'nftables*');
  });

  it('a cordoned node is a node like any other', () => {
    const cluster = installed(1, { canary: { count: 0 } });
    const cordoned = { ...node('n1'), spec: { unschedulable: true } };
    cluster.nodes.set('n1', cordoned);
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*' });
  });

  it('a node in flight that dies fails at its deadline and not before', () => {
    const cluster = installed(2, { canary: { count: 0 }, ignoreNotReadyAfter: '1m', onFailure: { fleet: 'Pause' } });
    cluster.reconcile();
    kubelet(cluster, 'n1', 'Unknown');
    cluster.nowMs += 2 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.profile('all').status?.nodes?.inProgress, 1);
    cluster.nowMs += 3 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.profile('all').status?.nodes?.failed, 1);
  });

  it('a clock that was ahead holds no soak up for ever', () => {
    const cluster = installed(2, { canary: { soak: '1m' } });
    cluster.nowMs += 9_000 * MINUTE;
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.nowMs -= 9_000 * MINUTE;
    cluster.reconcile();
    cluster.nowMs += MINUTE;
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables*' });
  });
});

describe('a profile that is deleted', () => {
  function deleting(onDelete: string, rollout: object = {}): SimulatedCluster {
    const cluster = installed(3, { canary: { count: 0 }, ...rollout });
    cluster.editProfile('all', { onDelete });
    const all = cluster.profile('all');
    const metadata = { ...all.metadata, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [FINALIZER] };
    cluster.profiles.set('all', { ...all, metadata });
    return cluster;
  }

  it('has the finalizer exactly while it wants its nodes released', () => {
    const cluster = new SimulatedCluster([profile('all', { onDelete: 'Release' })], [node('n1')]);
    assert.deepEqual(
      cluster.plan().finalizers.map(({ present }) => present),
      [true],
    );
    const all = cluster.profile('all');
    cluster.profiles.set('all', { ...all, metadata: { ...all.metadata, finalizers: [FINALIZER] } });
    assert.deepEqual(cluster.plan().finalizers, []);
    cluster.editProfile('all', { onDelete: 'Keep' });
    assert.deepEqual(
      cluster.plan().finalizers.map(({ present }) => present),
      [false],
    );
  });

  it('Keep: lets go at once, and the nodes keep what they run', () => {
    const plan = deleting('Keep').plan();
    assert.deepEqual(plan.actions, []);
    assert.deepEqual(
      plan.finalizers.map(({ present }) => present),
      [false],
    );
  });

  it('Release: asks the nodes within maxUnavailable, and lets go when all have answered or their time is up', () => {
    const cluster = deleting('Release', { maxUnavailable: 2 });
    const released = () => [...cluster.states.values()].flatMap(({ spec }) => (spec.action ? [spec.nodeName] : []));
    cluster.reconcile();
    assert.deepEqual(released(), ['n1', 'n2']);
    cluster.report('n1', (status) => void delete status.current);
    cluster.reconcile();
    cluster.reconcile();
    assert.deepEqual(released(), ['n2', 'n3']);
    cluster.nowMs += 5 * MINUTE;
    const plan = cluster.reconcile();
    assert.deepEqual(plan.released[0]?.unanswered, ['n2', 'n3']);
    assert.deepEqual(
      plan.finalizers.map(({ present }) => present),
      [false],
    );
    // Nobody is to take them for released, and their agents are to release whenever they come back.
    cluster.profiles.delete('all');
    cluster.reconcile();
    assert.deepEqual(released(), ['n2', 'n3']);
    cluster.report('n3', (status) => void delete status.current);
    cluster.reconcile();
    assert.deepEqual(released(), ['n2']);
  });

  it('Release: says so meanwhile, and names who is late or cannot', () => {
    const cluster = deleting('Release', { maxUnavailable: 2 });
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'True/Releasing');
    assert.equal(cluster.condition('all', 'Available'), 'False/Releasing');
    assert.match(cluster.message('all', 'Progressing'), /3 nodes left: n1, n2 in progress, 1 waiting/);
    const failing = ready('False', 'ReleaseFailed').map((each) => ({ ...each, type: 'Applied', message: 'EBUSY' }));
    cluster.report('n1', (status) => void (status.conditions = failing));
    cluster.reconcile();
    assert.deepEqual(cluster.profile('all').status?.problems, [
      { node: 'n1', reason: 'ReleaseFailed', message: 'EBUSY' },
    ]);
    cluster.nowMs += MINUTE;
    cluster.report('n1', (status) => void delete status.current);
    cluster.reconcile();
    cluster.reconcile();
    assert.match(cluster.message('all', 'Progressing'), /2 nodes left: n2, n3 in progress, 0 waiting/);
    cluster.nowMs += 4 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Degraded'), 'True/ReleaseOverdue');
    assert.deepEqual(
      cluster.profile('all').status?.problems?.map(({ node: name, reason }) => [name, reason]),
      [['n2', 'NoAnswer']],
    );
    assert.equal(cluster.events.filter((reason) => reason === 'ReleaseStarted').length, 1);
    assert.deepEqual(proxyProfileStatus.safeParse(cluster.profile('all').status).error?.issues, undefined);
  });

  it('Release: lets go only once nobody who answered, or from whom kube-proxy is kept, is left', () => {
    const cluster = deleting('Release', { maxUnavailable: 3 });
    cluster.reconcile();
    cluster.nowMs += 5 * MINUTE;
    cluster.report('n1', (status) => void delete status.current);
    const plan = cluster.reconcile();
    assert.deepEqual([plan.finalizers, plan.released[0]?.unanswered], [[], []]);
    assert.deepEqual(cluster.reconcile().released[0]?.unanswered, ['n2', 'n3']);
    cluster.nodes.set('n2', node('n2', { labels: { [DEFAULT_NODE_LABEL]: 'true' } }));
    assert.deepEqual(cluster.plan().finalizers, []);
  });

  it('Release: spares the nodes that another profile has taken over', () => {
    const cluster = deleting('Release');
    cluster.profiles.set('next', profile('next', { mode: 'iptables' }));
    cluster.reconcile();
    assert.deepEqual(
      [...cluster.states.values()].map(({ spec }) => [spec.profile.name, spec.action]),
      Array.from({ length: 3 }, () => ['next', undefined]),
    );
  });
});

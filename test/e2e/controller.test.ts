import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { UserError } from '../../src/support/errors.ts';
import { CuttableProxy } from '../fakes/cuttable-proxy.ts';
import { ControllerCluster } from './controller-cluster.ts';

const NODES = ['n1', 'n2', 'n3'];

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('the controller', { timeout: 120_000 }, () => {
  let cluster: ControllerCluster;

  beforeEach(async () => {
    cluster = await ControllerCluster.start();
    await cluster.addNodes(...NODES);
  });
  afterEach(() => cluster.close());

  const noMoreThan = (max: number) => async () => {
    const busy = Object.values(await cluster.granted()).filter((mode) => mode.endsWith('*'));
    assert.ok(busy.length <= max, `${busy.length} nodes hold a slot`);
  };

  /** All nodes run iptables. */
  async function install(rollout: object = {}): Promise<void> {
    await cluster.createProfile('all', { mode: 'iptables', rollout: { maxUnavailable: 3, ...rollout } });
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES });
    await cluster.editProfile('all', { rollout: { maxUnavailable: 1 } });
    await cluster.until('every slot is given back', async () => {
      return Object.values(await cluster.granted()).every((mode) => mode === 'iptables');
    });
  }

  it('rolls a profile out in batches, then another mode, and says so', async () => {
    cluster.run('one');
    await cluster.createProfile('all', { mode: 'iptables' });
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES, invariant: noMoreThan(1) });
    await cluster.editProfile('all', { mode: 'nftables' });
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES, invariant: noMoreThan(1) });
    await cluster.until('every slot is given back', async () => {
      return Object.values(await cluster.granted()).every((mode) => mode === 'nftables');
    });
    const reasons = await cluster.eventReasons('all');
    assert.deepEqual(reasons.filter((reason) => reason === 'RolloutCompleted').length, 2);
    const { status } = await cluster.profile('all');
    const { matched, updated, ready, inProgress, failed, waiting } = status?.nodes ?? {};
    assert.deepEqual([matched, updated, ready, inProgress, failed, waiting], [3, 3, 3, 0, 0, 0]);
    const { items } = (await cluster.call('GET', '/apis/apps/v1/namespaces/kube-system/controllerrevisions')) as {
      items: { revision: number; data: { mode: string }; metadata: { ownerReferences: { name: string }[] } }[];
    };
    assert.deepEqual(items.map(({ revision, data }) => [revision, data.mode]).sort(), [
      [1, 'iptables'],
      [2, 'nftables'],
    ]);
    assert.equal(items[0]?.metadata.ownerReferences[0]?.name, 'all');
    const owner = (await cluster.states()).get('n1')?.metadata.ownerReferences?.[0];
    assert.deepEqual([owner?.kind, owner?.name], ['Node', 'n1']);
  });

  it('takes a new node in, and lets a state go with its node', async () => {
    cluster.run('one');
    await install();
    await cluster.addNodes('n4');
    await cluster.until('n4 is granted', async () => (await cluster.granted())['n4'] === 'iptables*');
    await cluster.call('DELETE', '/api/v1/nodes/n4');
    await cluster.until('the state of n4 is gone', async () => !(await cluster.states()).has('n4'));
  });

  it('replaces the state of a node that was made anew under its name', async () => {
    cluster.run('one');
    await install();
    const before = (await cluster.states()).get('n2')?.spec.nodeUID;
    await cluster.call('DELETE', '/api/v1/nodes/n2');
    await cluster.addNodes('n2');
    await cluster.until('n2 has a new state', async () => {
      const uid = (await cluster.states()).get('n2')?.spec.nodeUID;
      return uid !== undefined && uid !== before;
    });
  });

  it('stops both profiles that tie for a node, and goes on when one gives way', async () => {
    cluster.run('one');
    await install();
    await cluster.createProfile('twin', { mode: 'nftables' });
    await cluster.untilCondition('all', 'Accepted=False/SelectorConflict');
    await cluster.untilCondition('twin', 'Accepted=False/SelectorConflict');
    assert.deepEqual(await cluster.granted(), { n1: 'iptables', n2: 'iptables', n3: 'iptables' });
    await cluster.editProfile('twin', { priority: 1 });
    await cluster.untilCondition('twin', 'Available=True/AllNodesReady', { agents: NODES });
    await cluster.untilCondition('all', 'Accepted=False/NoMatchingNodes');
  });

  it('starts nothing while paused', async () => {
    cluster.run('one');
    await install();
    await cluster.editProfile('all', { mode: 'nftables', rollout: { paused: true } });
    await cluster.untilCondition('all', 'Progressing=False/Paused', { agents: NODES });
    assert.deepEqual(await cluster.granted(), { n1: 'iptables', n2: 'iptables', n3: 'iptables' });
    await cluster.editProfile('all', { rollout: { paused: false } });
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES });
  });

  it('stops at the failure budget, and a new revision supersedes', async () => {
    cluster.run('one');
    await install();
    await cluster.editProfile('all', { mode: 'nftables', rollout: { onFailure: { fleet: 'Pause' } } });
    await cluster.until('n1 is granted', async () => (await cluster.granted())['n1'] === 'nftables*');
    await cluster.actAsAgents(['n1'], 'RolledBack');
    await cluster.untilCondition('all', 'Degraded=True/FailureBudgetSpent');
    assert.equal((await cluster.granted())['n2'], 'iptables');
    assert.equal((await cluster.profile('all')).status?.problems?.[0]?.reason, 'VerifyFailed');
    await cluster.editProfile('all', { mode: 'iptables' });
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES });
    const reasons = await cluster.eventReasons('all');
    for (const reason of ['FailureBudgetSpent', 'NodeFailed', 'RolloutSuperseded']) assert.ok(reasons.includes(reason));
  });

  it('counts a node as failed when its deadline passes in silence', async () => {
    cluster.run('one');
    await install({ nodeDeadline: '1s' });
    const rollout = { nodeDeadline: '1s', onFailure: { fleet: 'Pause' } };
    await cluster.editProfile('all', { mode: 'nftables', rollout });
    await cluster.untilCondition('all', 'Degraded=True/FailureBudgetSpent');
    assert.equal((await cluster.profile('all')).status?.problems?.[0]?.reason, 'NoAnswer');
  });

  it('goes on where a controller before it stopped, and repeats no event', async () => {
    const first = cluster.run('one');
    await install();
    await cluster.editProfile('all', { mode: 'nftables' });
    await cluster.until('n1 is granted', async () => (await cluster.granted())['n1'] === 'nftables*');
    await cluster.untilCondition('all', 'Progressing=True/BatchRunning');
    assert.equal(await first.stop(), undefined);
    const attempt = (await cluster.states()).get('n1')?.spec.attempt?.id;
    const told = await cluster.eventReasons('all');
    cluster.run('two');
    await cluster.editProfile('all', { rollout: { nodeDeadline: '4m' } });
    await cluster.untilCondition('all', 'Progressing=True/BatchRunning');
    assert.equal((await cluster.states()).get('n1')?.spec.attempt?.id, attempt);
    assert.deepEqual(await cluster.granted(), { n1: 'nftables*', n2: 'iptables', n3: 'iptables' });
    assert.deepEqual((await cluster.eventReasons('all')).sort(), told.sort());
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES, invariant: noMoreThan(1) });
  });

  it('goes on after its connections were cut and its history was dropped', async () => {
    const proxy = await CuttableProxy.to(Number(new URL(cluster.server.url).port));
    try {
      cluster.run('one', { kubeconfig: cluster.kubeconfig('proxy', { server: `https://127.0.0.1:${proxy.port}` }) });
      await install();
      proxy.cut();
      cluster.server.compact();
      await cluster.editProfile('all', { mode: 'nftables' });
      await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES, invariant: noMoreThan(1) });
    } finally {
      proxy.close();
    }
  });

  it('two of them agree on a leader; the other takes over when it ends', async () => {
    const lease = async () => {
      const { spec } = (await cluster.call(
        'GET',
        '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/switchyard-controller',
      )) as { spec: { holderIdentity: string } };
      return spec.holderIdentity;
    };
    const args = { leaderElect: true, namespace: 'kube-system' };
    const first = cluster.run('one', args);
    await cluster.until('there is a leader', async () => (await lease()) !== '');
    const leader = await lease();
    cluster.run('two', args);
    await install();
    assert.equal(await lease(), leader);
    assert.equal(await first.stop(), undefined);
    await cluster.until('there is another leader', async () => !['', leader].includes(await lease()));
    await cluster.editProfile('all', { mode: 'nftables' });
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES });
  });

  it('ends with an error when another one takes its Lease', async () => {
    const running = cluster.run('one', { leaderElect: true, namespace: 'kube-system' });
    const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/switchyard-controller';
    await cluster.until('there is a leader', async () => (await cluster.call('GET', path)) !== undefined);
    await cluster.call('PATCH', path, { spec: { holderIdentity: 'a thief', leaseDurationSeconds: 60 } });
    const error = await running.ended;
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, /lost the Lease kube-system\/switchyard-controller/);
  });

  it('serves metrics and health', async () => {
    const metrics = `127.0.0.1:${await freePort()}`;
    cluster.run('one', { metricsBindAddress: metrics });
    await install();
    const text = await (await fetch(`http://${metrics}/metrics`)).text();
    assert.match(text, /switchyard_profile_nodes\{profile="all",state="matched"\} 3/);
    assert.match(text, /switchyard_controller_leader 1/);
    assert.equal(await (await fetch(`http://${metrics}/healthz`)).text(), 'ok\n');
  });
});

describe('a controller without its definitions', { timeout: 60_000 }, () => {
  it('waits for them', async () => {
    const cluster = await ControllerCluster.start({ withDefinitions: false });
    try {
      cluster.run('one');
      await cluster.addNodes('n1');
      await cluster.installDefinitions();
      await cluster.createProfile('all', { mode: 'iptables' });
      await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: ['n1'] });
    } finally {
      await cluster.close();
    }
  });
});

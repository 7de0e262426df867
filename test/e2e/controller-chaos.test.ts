import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FaultyApi } from '../fakes/faulty-api.ts';
import { SkippingClock } from '../fakes/skipping-clock.ts';
import { BudgetWatcher } from './budget-watcher.ts';
import { ControllerCluster, type RunningController } from './controller-cluster.ts';

const NODES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'];
const FAULT_PERCENT = 8;
const MAX_UNAVAILABLE = 2;
/** Longer than a Lease lasts that nobody renews. */
const LEASE_MS = 16_000;
const STEPS = Number(process.env['SWITCHYARD_CHAOS'] ?? '20');
const SEED = Number(process.env['SWITCHYARD_CHAOS_SEED'] ?? '7');

/** Lehmer's generator; what it decides is repeated by its seed, what the machine's clock decides is not. */
function generator(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

interface Replica {
  readonly api: FaultyApi;
  readonly controller: RunningController;
}

describe('a rollout over an API server that fails in every way', { timeout: 300_000 }, () => {
  let cluster: ControllerCluster;
  let clock: SkippingClock;
  let watcher: BudgetWatcher;
  let replicas: Replica[];
  const random = generator(SEED);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

  beforeEach(async () => {
    clock = new SkippingClock();
    cluster = await ControllerCluster.start();
    watcher = new BudgetWatcher(cluster.server, () => MAX_UNAVAILABLE);
    replicas = [];
  });
  afterEach(async () => {
    await cluster.close();
    await watcher.close();
    for (const { api } of replicas) api.close();
  });

  async function addReplica(): Promise<void> {
    const api = await FaultyApi.before(cluster.server, random);
    const name = `replica-${Math.floor(random() * 1e9)}`;
    const kubeconfig = cluster.kubeconfig(name, { server: `https://127.0.0.1:${api.port}`, caPem: api.caPem });
    const args = { kubeconfig, leaderElect: true, namespace: 'kube-system' };
    replicas.push({ api, controller: cluster.run(name, args, { clock }) });
  }

  /** As by SIGKILL: what is under way is done or not, and the Lease is not given back. */
  async function killOne(): Promise<void> {
    const [killed] = replicas.splice(Math.floor(random() * replicas.length), 1);
    killed?.api.close();
    await killed?.controller.stop();
    await addReplica();
    clock.skip(LEASE_MS);
  }

  /** As by SIGTERM: the Lease is given back, and another one leads at once, whatever its watches have heard by then. */
  async function stopOne(): Promise<void> {
    const [stopped] = replicas.splice(Math.floor(random() * replicas.length), 1);
    await stopped?.controller.stop();
    stopped?.api.close();
    await addReplica();
    clock.skip(3_000);
  }

  async function remake(name: string): Promise<void> {
    await cluster.call('DELETE', `/api/v1/nodes/${name}`);
    await cluster.addNodes(name);
  }

  async function kubelet(name: string, status: 'True' | 'False'): Promise<void> {
    const lastTransitionTime = new Date(clock.now()).toISOString().replace(/\.\d+Z/, 'Z');
    const conditions = [{ type: 'Ready', status, reason: 'Test', message: '', lastTransitionTime }];
    await cluster.call('PATCH', `/api/v1/nodes/${name}/status`, { status: { conditions } });
  }

  const edit = (spec: object) => cluster.editProfile('all', spec);
  const HAPPENINGS: Record<string, () => Promise<void>> = {
    'another mode': () => edit({ mode: pick(['iptables', 'nftables']) }),
    'another option': () => edit({ masqueradeBit: pick([13, 14, 15]) }),
    'a pause': () => edit({ rollout: { paused: true } }),
    'its end': () => edit({ rollout: { paused: false } }),
    'another try': () => edit({ rollout: { retryToken: pick(['', 'a', 'b']) } }),
    'agents that succeed': () => cluster.actAsAgents(NODES),
    'an agent that succeeds': () => cluster.actAsAgents([pick(NODES)]),
    'an agent that fails': () => cluster.actAsAgents([pick(NODES)], 'RolledBack'),
    'a node made anew': () => remake(pick(NODES)),
    'a kubelet that is ill': () => kubelet(pick(NODES), 'False'),
    'a kubelet that is well': () => kubelet(pick(NODES), 'True'),
    'time that passes': () => Promise.resolve(clock.skip(60_000)),
    'a replica that dies': killOne,
    'a replica that ends': stopOne,
    'a history that is dropped': () => Promise.resolve(cluster.server.compact()),
  };

  it(`never has more nodes under way than it may, and comes to its end (seed ${SEED})`, async () => {
    await cluster.addNodes(...NODES);
    await addReplica();
    await addReplica();
    const rollout = { maxUnavailable: '34%', maxFailures: 2, nodeDeadline: '1h' };
    await cluster.createProfile('all', { mode: 'iptables', rollout });
    await cluster.untilCondition('all', 'Progressing=False/Complete', { agents: NODES });
    const told: string[] = [];
    for (let step = 0; step < STEPS; step += 1) {
      for (const { api } of replicas) api.percent = FAULT_PERCENT;
      const what = pick(Object.keys(HAPPENINGS));
      told.push(what);
      await HAPPENINGS[what]?.();
      await cluster.actAsAgents([pick(NODES)]);
      await new Promise((resolve) => setTimeout(resolve, random() * 400));
      assert.deepEqual(watcher.violations, [], told.join('; '));
    }
    for (const { api } of replicas) api.percent = 0;
    for (const name of NODES) await kubelet(name, 'True');
    await edit({ mode: 'nftables', masqueradeBit: 14, rollout: { paused: false, retryToken: 'the last' } });
    clock.skip(60_000);
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES });
    const expected = Object.fromEntries(NODES.map((name) => [name, 'nftables']));
    await cluster.until('every slot is given back', async () => {
      await cluster.actAsAgents(NODES);
      return JSON.stringify(await cluster.granted()) === JSON.stringify(expected);
    });
    assert.deepEqual(watcher.violations, [], told.join('; '));
    assert.equal(watcher.mostUnderWay, MAX_UNAVAILABLE);
  });
});

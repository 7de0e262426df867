import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CuttableProxy } from '../fakes/cuttable-proxy.ts';
import { SkippingClock } from '../fakes/skipping-clock.ts';
import { ControllerCluster, type RunningController } from './controller-cluster.ts';

const NODES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'];
const FAILING = 'n6';
const KILLS = Number(process.env['SWITCHYARD_KILLS'] ?? '40');
/** Longer than a Lease lasts that nobody renews. */
const LEASE_MS = 16_000;
const DEADLINE_MS = 60_000;

interface Replica {
  readonly controller: RunningController;
  readonly proxy: CuttableProxy;
}

const isOfBatch = (reason: string) => reason.startsWith('Batch');

/** Two replicas, of which the one that leads can be cut off in the middle of whatever it does, for ever. */
class Replicas {
  readonly #cluster: ControllerCluster;
  readonly #clock: SkippingClock;
  readonly #running: Replica[] = [];
  #count = 0;

  constructor(cluster: ControllerCluster, clock: SkippingClock) {
    this.#cluster = cluster;
    this.#clock = clock;
  }

  async add(): Promise<void> {
    const proxy = await CuttableProxy.to(Number(new URL(this.#cluster.server.url).port));
    const name = `replica-${(this.#count += 1)}`;
    const kubeconfig = this.#cluster.kubeconfig(name, { server: `https://127.0.0.1:${proxy.port}` });
    const args = { kubeconfig, leaderElect: true, namespace: 'kube-system' };
    this.#running.push({ controller: this.#cluster.run(name, args, { clock: this.#clock }), proxy });
  }

  /** As by SIGKILL: what was asked for may have been done or not, and the Lease is not given back. */
  async killLeader(): Promise<void> {
    const leader = this.#running.shift();
    leader?.proxy.close();
    await leader?.controller.stop();
    await this.add();
    this.#clock.skip(LEASE_MS);
  }

  close(): void {
    for (const { proxy } of this.#running) proxy.close();
  }
}

describe('a leader that is killed', { timeout: 300_000 }, () => {
  let cluster: ControllerCluster;
  let clock: SkippingClock;
  let replicas: Replicas;
  let kills: number;
  /** What each story ended with when nobody was killed. */
  const ends = new Map<string, unknown>();

  beforeEach(async () => {
    kills = 0;
    clock = new SkippingClock();
    cluster = await ControllerCluster.start();
    await cluster.addNodes(...NODES);
    replicas = new Replicas(cluster, clock);
    await replicas.add();
    await replicas.add();
  });
  afterEach(async () => {
    await cluster.close();
    replicas.close();
  });

  /** Goes on until the profile says so and every slot is given back; kills the leader now and then. */
  async function untilEnd(expected: string, mayKill: () => boolean, failing?: string): Promise<void> {
    const [type = '', value] = expected.split('=');
    const deadline = Date.now() + DEADLINE_MS;
    while (!(await isAtEnd(type, value))) {
      if (Date.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${expected}`);
      await cluster.actAsAgents(NODES.filter((name) => name !== failing));
      if (failing !== undefined) await cluster.actAsAgents([failing], 'RolledBack');
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 80));
      if (mayKill()) {
        kills += 1;
        await replicas.killLeader();
      } else clock.skip(4_000);
    }
  }

  async function isAtEnd(type: string, value: string | undefined): Promise<boolean> {
    const granted = Object.values(await cluster.granted());
    const busy = granted.filter((mode) => mode.endsWith('*'));
    assert.ok(busy.length <= 2, `${busy.length} nodes hold a slot`);
    return busy.length === 0 && (await cluster.condition('all', type)) === value;
  }

  /** What there is to see at the end of a story, and the events in it. */
  async function endOf(story: string, eventsBefore: readonly string[]): Promise<unknown> {
    const { status } = await cluster.profile('all');
    const events = (await cluster.eventReasons('all')).slice();
    for (const reason of eventsBefore) events.splice(events.indexOf(reason), 1);
    const [ofBatches, others] = [events.filter(isOfBatch), events.filter((reason) => !isOfBatch(reason))];
    const { rejected, ...revision } = status?.revision ?? {};
    // A batch that was cut short between two grants makes one more of them; each is told of once all the same.
    const states = [...(await cluster.states()).values()];
    const batches = Math.max(...states.map(({ spec }) => spec.settled?.batch ?? 0));
    if (rejected === undefined) assert.equal(ofBatches.length, 2 * batches, `${batches} batches: ${ofBatches.join()}`);
    const conditions = status?.conditions?.map((each) => `${each.type}=${each.status}/${each.reason}`);
    return {
      story,
      granted: await cluster.granted(),
      conditions,
      revision,
      why: rejected?.[0]?.cause,
      events: others.sort(),
    };
  }

  it(`${KILLS} times, at whatever moment, changes neither the end nor what is told`, async () => {
    await cluster.createProfile('all', { mode: 'iptables', rollout: { maxUnavailable: 2 } });
    await untilEnd('Progressing=False/Complete', () => false);
    const stories = [
      {
        spec: { mode: 'nftables', rollout: { canary: { count: 1, soak: '20s' }, retryToken: '' } },
        end: 'Progressing=False/Complete',
      },
      { spec: { mode: 'iptables' }, end: 'Progressing=False/Complete' },
      { spec: { mode: 'nftables', masqueradeBit: 15 }, end: 'Progressing=False/Rejected', failing: FAILING },
      { spec: { mode: 'iptables', masqueradeBit: 14 }, end: 'Progressing=False/Complete' },
    ];
    for (let round = 0; kills < KILLS; round++) {
      for (const [index, { spec, end, failing }] of stories.entries()) {
        const before = await cluster.eventReasons('all');
        await cluster.editProfile('all', spec);
        await untilEnd(end, () => round > 0 && kills < KILLS, failing);
        const name = `story ${index}`;
        const found = await endOf(name, before);
        if (round === 0) ends.set(name, found);
        else assert.deepEqual(found, ends.get(name), `after ${kills} kills`);
      }
    }
  });
});

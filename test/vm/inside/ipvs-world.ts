import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Host, Testbed } from '../../../src/sandbox/net/testbed.ts';
import { TrafficLoad, type LoadReport, type LoadTarget } from '../../../src/sandbox/traffic/traffic.ts';
import { nodePorts, service, slices } from '../../kernel/iptables-fixture.ts';
import type { AgentNode } from './agent-node.ts';

/** So many are begun per target between two changes, on average. */
const CONNECTIONS_BETWEEN = 0.125;
/**
 * An emulated processor needs some 10 ms for each; beside other work a change takes long, and what is paced by time then
 * takes more of it than the agent.
 */
const PER_SECOND = 0.15;
const HELD_INTERVAL_MS = 2_000;
const CHURN_MS = 1_000;
/** A look takes the processor, too. */
const LOOK_MS = 400;
/**
 * For how many rounds an endpoint is on its way out, so that answers on their way still find their flow; then for one it is
 * gone. Longer than a change takes beside other work: an agent that is busy with one takes what came meanwhile at once.
 */
const LEAVING_ROUNDS = 8;

const WEB = ['10.96.0.10', 'fd00:96::10'] as const;
const CHURNED = ['10.96.0.11', 'fd00:96::11'] as const;
const STICKY = ['10.96.0.12', 'fd00:96::12'] as const;
const EXTERNAL_IP = '192.0.2.10';
const LOAD_BALANCER_IP = '192.0.2.11';

/** It serves nobody: who reaches itself is masqueraded. */
function clientOf(testbed: Testbed): Host {
  return testbed.node('n1').pods[1] ?? assert.fail();
}

function backendsOf(testbed: Testbed): readonly Host[] {
  return testbed.pods.filter((pod) => pod !== clientOf(testbed));
}

type Route = Pick<LoadTarget, 'address' | 'port'> & Partial<LoadTarget>;

/** What is sent from where: new connections without end, and connections that are held. */
function targetsOf(testbed: Testbed): readonly { readonly from: Host; readonly targets: LoadTarget[] }[] {
  const n1 = testbed.node('n1');
  const pod = clientOf(testbed);
  const backends = backendsOf(testbed).map(({ name }) => name);
  const both = (name: string, route: Route): LoadTarget[] =>
    (['TCP', 'UDP'] as const).map((protocol) => ({
      name: `${name} ${protocol}`,
      protocol,
      perSecond: PER_SECOND,
      held: 1,
      backends,
      ...route,
    }));
  return [
    {
      from: pod,
      targets: [
        ...both('pod to ClusterIP', { address: WEB[0], port: 80, sources: [pod.address] }),
        ...both('pod to ClusterIP over IPv6', { address: WEB[1], port: 80, sources: [pod.address6] }),
        ...both('pod to churned ClusterIP', { address: CHURNED[0], port: 80, held: 0, perSecond: 2 * PER_SECOND }),
        ...both('sticky ClusterIP', { address: STICKY[0], port: 80, held: 0, isSticky: true }),
      ],
    },
    {
      from: n1,
      targets: [
        ...both('node to ClusterIP', { address: WEB[0], port: 80 }),
        ...both('node to ClusterIP over IPv6', { address: WEB[1], port: 80 }),
        ...both('sticky ClusterIP over IPv6', { address: STICKY[1], port: 80, held: 0, isSticky: true }),
      ],
    },
    {
      from: testbed.outside,
      targets: [
        ...both('outside to NodePort', { address: n1.address, port: 30080 }),
        ...both('outside to NodePort over IPv6', { address: n1.address6, port: 30080 }),
        ...both('outside to external IP', { address: EXTERNAL_IP, port: 80 }),
        ...both('outside to load balancer', { address: LOAD_BALANCER_IP, port: 80 }),
      ],
    },
  ];
}

const attempts = ({ targets }: LoadReport): number => targets.reduce((sum, target) => sum + target.attempts, 0);

/** Services of all kinds behind an agent's node, called over TCP and UDP by a pod, by the node and from outside. */
export class IpvsWorld {
  readonly #testbed: Testbed;
  readonly #agent: AgentNode;
  readonly #stopped = new AbortController();
  #loads: readonly TrafficLoad[] = [];
  #churn: Promise<void> = Promise.resolve();

  constructor(testbed: Testbed, agent: AgentNode) {
    this.#testbed = testbed;
    this.#agent = agent;
    const backends = backendsOf(testbed);
    const spec = { ...nodePorts(30080), type: 'LoadBalancer', externalIPs: [EXTERNAL_IP] };
    agent.put(
      service('web', WEB, spec, [LOAD_BALANCER_IP]),
      slices('web', backends),
      service('churned', CHURNED),
      slices('churned', backends),
      service('sticky', STICKY, { sessionAffinity: 'ClientIP' }),
      slices('sticky', backends),
    );
  }

  /** Connections begin, and of one Service endpoints leave, go and come. */
  async start(): Promise<void> {
    this.#loads = await Promise.all(
      targetsOf(this.#testbed).map(({ from, targets }) =>
        TrafficLoad.start(this.#testbed, from, { targets, timeoutMs: 30_000, heldIntervalMs: HELD_INTERVAL_MS }),
      ),
    );
    this.#churn = this.#changeEndpoints();
    // A client is remembered once its first connection has been.
    await this.untilFlowing(3);
  }

  async #changeEndpoints(): Promise<void> {
    const { signal } = this.#stopped;
    const all = backendsOf(this.#testbed);
    for (let round = 0; !signal.aborted; round += 1) {
      const turn = Math.floor(round / (LEAVING_ROUNDS + 1)) % all.length;
      const phase = round % (LEAVING_ROUNDS + 1);
      if (phase === 0 || phase === LEAVING_ROUNDS) {
        const left = all.filter((_, index) => index !== turn);
        const leaving = all.filter((_, index) => index === turn && phase === 0);
        this.#agent.put(slices('churned', left, leaving));
      }
      await pause(CHURN_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Until each load has begun some more connections. */
  async untilFlowing(connections = CONNECTIONS_BETWEEN): Promise<void> {
    await Promise.all(
      this.#loads.map(async (load) => {
        const first = await load.report();
        const enough = attempts(first) + connections * first.targets.length;
        await this.#agent.until('traffic flows', async () => attempts(await load.report()) >= enough, LOOK_MS);
      }),
    );
  }

  async stopChurn(): Promise<void> {
    this.#stopped.abort();
    await this.#churn;
  }

  /** Ends everything; the reports are final. */
  async stop(): Promise<readonly LoadReport[]> {
    await this.stopChurn();
    const reports = await Promise.all(this.#loads.map((load) => load.stop()));
    this.#loads = [];
    return reports;
  }
}

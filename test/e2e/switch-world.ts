import type { Host } from '../../src/sandbox/net/testbed.ts';
import { TrafficLoad, type LoadReport, type LoadTarget } from '../../src/sandbox/traffic/traffic.ts';
import { eventually, type AgentGround } from './agent-ground.ts';

const PORT = 80;
const TARGET_PORT = 8080;
const PROTOCOLS = ['TCP', 'UDP'] as const;
/** Services are dual-stack; each has one address of each kind and family. */
type Addresses = readonly [string, string];
const EXTERNAL_IPS: Addresses = ['192.0.2.30', 'fd00:192::30'];
const LOAD_BALANCER_IPS: Addresses = ['192.0.2.40', 'fd00:192::40'];
const EXTERNAL_CIDRS: Addresses = ['192.0.2.0/24', 'fd00:192::/64'];
const clusterIPs = (number: number): Addresses => [`10.96.0.${number}`, `fd00:96::${number}`];

const RATE = { perSecond: 2, held: 1 };
/** So many new connections and exchanges show that a target is reached. */
const FLOWING = 5;
const TIMING = { timeoutMs: 3_000, heldIntervalMs: 500 };

export interface WorldService {
  readonly name: string;
  readonly clusterIPs: Addresses;
  readonly nodePort?: number;
  readonly spec?: object;
}

const FRONT = {
  name: 'front',
  clusterIPs: clusterIPs(20),
  nodePort: 30090,
  spec: { type: 'LoadBalancer', externalIPs: EXTERNAL_IPS },
} as const satisfies WorldService;
const LOCAL = {
  name: 'local',
  clusterIPs: clusterIPs(21),
  nodePort: 30091,
  spec: { type: 'NodePort', externalTrafficPolicy: 'Local' },
} as const satisfies WorldService;
const STICKY = {
  name: 'sticky',
  clusterIPs: clusterIPs(22),
  nodePort: 30092,
  spec: { type: 'NodePort', sessionAffinity: 'ClientIP' },
} as const satisfies WorldService;
/** Of its own, since a UDP flow that is held has to leave an endpoint that goes. */
export const CHURNED = { name: 'churned', clusterIPs: clusterIPs(23) } as const satisfies WorldService;
/** Comes and goes as a whole; nobody calls it. */
export const FLEETING = { name: 'fleeting', clusterIPs: clusterIPs(24) } as const satisfies WorldService;

export interface WorldOptions {
  /** The node may take a pod's place as the source towards a ClusterIP. */
  readonly mayMasquerade?: boolean;
}

export interface WorldTotals {
  /** New connections and exchanges, over TCP and UDP, and flows that were held open all the time. */
  readonly attempts: number;
  /** How all of them ended. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly resentSyns: number;
  readonly slowestMs: number;
  readonly failures: readonly { readonly target: string; readonly outcome: string; readonly detail: string }[];
}

/**
 * Dual-stack Services of every kind, called over TCP and UDP by a pod, by the node and from outside: at ClusterIPs,
 * NodePorts, external IPs and load balancer addresses, with session affinity, with the client's address kept, and with
 * endpoints that come and go. The servers say who answered whom.
 */
export class SwitchWorld {
  readonly #ground: AgentGround;
  readonly #options: WorldOptions;
  #loads: TrafficLoad[] = [];

  private constructor(ground: AgentGround, options: WorldOptions) {
    this.#ground = ground;
    this.#options = options;
  }

  /** The ground must have a client pod. */
  static async create(ground: AgentGround, options: WorldOptions = {}): Promise<SwitchWorld> {
    const world = new SwitchWorld(ground, options);
    for (const service of [FRONT, LOCAL, STICKY, CHURNED]) {
      await world.createService(service);
      await world.setEndpoints(service, ground.backends);
    }
    const ingress = LOAD_BALANCER_IPS.map((ip) => ({ ip }));
    await ground.apply('/api/v1/namespaces/default/services/front/status', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'front', namespace: 'default' },
      status: { loadBalancer: { ingress } },
    });
    for (const cidr of EXTERNAL_CIDRS) await ground.testbed.route(ground.testbed.outside, cidr, ground.node);
    return world;
  }

  async createService({ name, clusterIPs: addresses, nodePort, spec }: WorldService): Promise<void> {
    await this.#ground.createService(name, {
      clusterIP: addresses[0],
      clusterIPs: addresses,
      ipFamilyPolicy: 'RequireDualStack',
      ipFamilies: ['IPv4', 'IPv6'],
      ports: PROTOCOLS.map((protocol) => ({
        name: protocol.toLowerCase(),
        protocol,
        port: PORT,
        ...(nodePort === undefined ? {} : { nodePort }),
      })),
      ...spec,
    });
  }

  /** Makes `pods` the endpoints; `leaving` are still there, and serve, but are about to end. */
  async setEndpoints({ name }: WorldService, pods: readonly Host[], leaving: readonly Host[] = []): Promise<void> {
    const ready = { ready: true, serving: true, terminating: false };
    const draining = { ready: false, serving: true, terminating: true };
    const all = [
      ...pods.map((pod) => ({ pod, conditions: ready })),
      ...leaving.map((pod) => ({ pod, conditions: draining })),
    ];
    const ports = PROTOCOLS.map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: TARGET_PORT }));
    const slices = [
      { addressType: 'IPv4', addressOf: (pod: Host) => pod.address },
      { addressType: 'IPv6', addressOf: (pod: Host) => pod.address6 },
    ];
    for (const { addressType, addressOf } of slices) {
      const slice = `${name}-${addressType.toLowerCase()}`;
      await this.#ground.apply(`/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/${slice}`, {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: slice, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
        addressType,
        endpoints: all.map(({ pod, conditions }) => ({
          addresses: [addressOf(pod)],
          nodeName: pod.name.slice(0, 2),
          conditions,
        })),
        ports,
      });
    }
  }

  async removeService({ name }: WorldService): Promise<void> {
    await this.#ground.remove(`/api/v1/namespaces/default/services/${name}`);
  }

  async startLoad(): Promise<void> {
    const { testbed, node } = this.#ground;
    const pod = node.pods[2];
    if (pod === undefined) throw new Error('the ground has no client pod');
    const start = (host: Host, targets: readonly LoadTarget[]) =>
      TrafficLoad.start(testbed, host, { ...TIMING, targets });
    this.#loads = await Promise.all([
      start(pod, this.#targetsOf(pod, 'pod')),
      start(node, this.#targetsOf(node, 'node')),
      start(testbed.outside, this.#targetsOf(testbed.outside, 'outside')),
    ]);
  }

  /** Resolves when every target has ended some attempts more than now, and every held flow has exchanged some more. */
  async untilFlowing(): Promise<void> {
    const before = await this.#progress();
    await eventually('everything has flowed', async () => {
      const now = await this.#progress();
      return now.every((count, index) => count >= (before[index] ?? 0) + FLOWING) ? true : undefined;
    });
  }

  async #progress(): Promise<number[]> {
    const reports = await Promise.all(this.#loads.map((load) => load.report()));
    return reports
      .flatMap((report) => report.targets)
      .flatMap(({ attempts, pending, heldOpen, heldExchanges }) =>
        heldOpen === 0 ? [attempts - pending] : [attempts - pending, heldExchanges],
      );
  }

  async stopLoad(): Promise<WorldTotals> {
    const reports = await Promise.all(this.#loads.map((load) => load.stop()));
    this.#loads = [];
    return totalsOf(reports);
  }

  #targetsOf(client: Host, place: 'pod' | 'node' | 'outside'): LoadTarget[] {
    const { node, backends } = this.#ground;
    const all = backends.map(({ name }) => name);
    const local = all.filter((name) => name.startsWith(node.name));
    const nodeAddresses: Addresses = [node.address, node.address6];
    const own = [client.address, client.address6];
    // Who calls a node's own address, or from outside, is masqueraded; towards a pod that is the gateway's address.
    const masqueraded = [...own, ...nodeAddresses, ...gatewaysOf(node.podCidr)];
    const kept = place === 'pod' && this.#options.mayMasquerade !== true ? own : masqueraded;
    const held = { backends: all, ...RATE };
    const fleeting = { ...held, held: 0 };
    const within = [
      { about: 'ClusterIP', addresses: FRONT.clusterIPs, port: PORT, ...held, sources: kept },
      { about: 'churned ClusterIP', addresses: CHURNED.clusterIPs, port: PORT, ...fleeting, sources: kept },
      { about: 'sticky ClusterIP', addresses: STICKY.clusterIPs, port: PORT, ...fleeting, sources: kept },
    ];
    const without = [
      { about: 'externalIP', addresses: EXTERNAL_IPS, port: PORT, ...held, sources: masqueraded },
      { about: 'load balancer', addresses: LOAD_BALANCER_IPS, port: PORT, ...held, sources: masqueraded },
      { about: 'NodePort', addresses: nodeAddresses, port: FRONT.nodePort, ...held, sources: masqueraded },
      { about: 'sticky NodePort', addresses: nodeAddresses, port: STICKY.nodePort, ...fleeting, sources: masqueraded },
    ];
    const outside = [
      {
        about: 'local NodePort',
        addresses: nodeAddresses,
        port: LOCAL.nodePort,
        ...held,
        backends: local,
        sources: own,
      },
    ];
    const routes = place === 'outside' ? [...without, ...outside] : [...within, ...without];
    return routes.flatMap(({ about, addresses, ...route }) =>
      addresses.flatMap((address) =>
        PROTOCOLS.map((protocol) => ({
          ...route,
          name: `${place} ${protocol} ${about} ${address}`,
          protocol,
          address,
          isSticky: about.startsWith('sticky'),
        })),
      ),
    );
  }
}

/** Every pod link ends at this address on its node. */
function gatewaysOf(podCidr: string): string[] {
  return [podCidr.replace(/\.0\/24$/, '.1')];
}

function totalsOf(reports: readonly LoadReport[]): WorldTotals {
  const targets = reports.flatMap((report) => report.targets);
  const outcomes: Record<string, number> = {};
  for (const target of targets) {
    for (const [outcome, count] of Object.entries(target.outcomes))
      outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
  }
  const attempts = targets.reduce((sum, target) => sum + target.attempts, 0);
  return {
    attempts,
    outcomes,
    lost: attempts - (outcomes['ok'] ?? 0),
    resentSyns: reports.reduce((sum, report) => sum + report.synRetransmits, 0),
    slowestMs: Math.max(...targets.map((target) => target.slowestMs)),
    failures: reports.flatMap((report) => report.failures),
  };
}

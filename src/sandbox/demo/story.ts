import type { Mode } from '../../core/mode.ts';
import type { LoadSpec, LoadTarget } from '../traffic/traffic.ts';

/** What the demo tells, as data: who is there, which Services, who calls whom. Effects live in the other files. */

export const FROM_MODE = 'iptables' satisfies Mode;
export const TO_MODE = 'nftables' satisfies Mode;
export const PROFILE_NAME = 'fleet';
export const SERVICE_NAMESPACE = 'shop';
export const CONTROLLER_NAMESPACE = 'kube-system';

/** The last pod of n1 is a client, the last one of n3 joins and leaves a Service; the first of each node are backends. */
export const TESTBED = {
  nodes: [
    { name: 'n1', pods: 2 },
    { name: 'n2', pods: 1 },
    { name: 'n3', pods: 2 },
  ],
  outside: true,
};
const BACKENDS = ['n1-p1', 'n2-p1', 'n3-p1'];
const CLIENT_POD = 'n1-p2';
const CLIENT_NODE = 'n2';

export interface StoryService {
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly clusterIP: string;
  readonly port: number;
  readonly targetPort: number;
  /** 0 for a Service that is reachable in the cluster only. */
  readonly nodePort: number;
  /** Names of pods. */
  readonly backends: readonly string[];
}

const WEB: StoryService = {
  name: 'web',
  protocol: 'TCP',
  clusterIP: '10.96.0.80',
  port: 80,
  targetPort: 8080,
  nodePort: 30080,
  backends: BACKENDS,
};
const NAMES: StoryService = {
  name: 'names',
  protocol: 'UDP',
  clusterIP: '10.96.0.53',
  port: 53,
  targetPort: 5353,
  nodePort: 30053,
  backends: BACKENDS,
};
const CART: StoryService = {
  name: 'cart',
  protocol: 'TCP',
  clusterIP: '10.96.0.90',
  port: 8080,
  targetPort: 9090,
  nodePort: 0,
  backends: ['n1-p1', 'n2-p1'],
};
export const SERVICES: readonly StoryService[] = [WEB, NAMES, CART];

/** Comes and goes while nodes switch; it keeps answering, so its connections must not fail either. */
export const CHURN = { service: WEB, pod: 'n3-p2' };

/** Every pod that answers for a Service at some time. */
export function podsBehind(service: StoryService): string[] {
  return service === CHURN.service ? [...service.backends, CHURN.pod] : [...service.backends];
}

/** What a backend calls itself: an answer under another Service's name is a misrouted connection. */
export function identityOf(service: StoryService, pod: string): string {
  return `${service.name}/${pod}`;
}

export interface StoryLoad {
  /** What people read, e.g. `pod n1-p2 → ClusterIP`. */
  readonly name: string;
  /** Name of the host it runs in. */
  readonly host: string;
  readonly spec: LoadSpec;
}

const RATE = { perSecond: 10, held: 3 };
/** Longer than three tries of a SYN (sent again after 1 s and 3 s), so that nothing fails for being slow only. */
const TIMING = { timeoutMs: 5_000, heldIntervalMs: 250 };

function clusterIpTarget(service: StoryService, source?: string): LoadTarget {
  return {
    name: `${service.name} ${service.clusterIP}:${service.port}`,
    protocol: service.protocol,
    address: service.clusterIP,
    port: service.port,
    backends: podsBehind(service).map((pod) => identityOf(service, pod)),
    ...RATE,
    ...(source === undefined ? {} : { sources: [source] }),
  };
}

function nodePortTarget(service: StoryService, nodeAddress: string): LoadTarget {
  return {
    ...clusterIpTarget(service),
    name: `${service.name} ${nodeAddress}:${service.nodePort}`,
    address: nodeAddress,
    port: service.nodePort,
  };
}

/** The three clients and what they call; `addressOf` gives the IPv4 address of a host by its name. */
export function planLoads(addressOf: (host: string) => string): StoryLoad[] {
  const nodePortServices = SERVICES.filter(({ nodePort }) => nodePort > 0);
  const nodeAddresses = TESTBED.nodes.map(({ name }) => addressOf(name));
  // A pod's own address must survive the way to a ClusterIP.
  const fromPod = SERVICES.map((service) => clusterIpTarget(service, addressOf(CLIENT_POD)));
  const fromNode = [
    ...SERVICES.map((service) => clusterIpTarget(service)),
    ...nodePortServices.map((service) => nodePortTarget(service, addressOf(CLIENT_NODE))),
  ];
  const fromOutside = nodeAddresses.flatMap((address) =>
    nodePortServices.map((service) => nodePortTarget(service, address)),
  );
  return [
    { name: `pod ${CLIENT_POD} → ClusterIP`, host: CLIENT_POD, spec: { ...TIMING, targets: fromPod } },
    { name: `node ${CLIENT_NODE} → ClusterIP, NodePort`, host: CLIENT_NODE, spec: { ...TIMING, targets: fromNode } },
    { name: 'outside → NodePort of each node', host: 'outside', spec: { ...TIMING, targets: fromOutside } },
  ];
}

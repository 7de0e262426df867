import type { Family } from '../../src/core/ip.ts';
import type { DataplaneOptions, Protocol } from '../../src/core/service/snapshot.ts';

export const TABLE_MODES = ['iptables', 'ipvs', 'nftables'] as const;
export type TableMode = (typeof TABLE_MODES)[number];

/** Where endpoints are: pods of the node under test, of another node, and the node itself (host network). */
export const PLACES = ['l1', 'l2', 'l3', 'l4', 'r1', 'r2', 'node'] as const;
export type Place = (typeof PLACES)[number];

/**
 * Who sends. `pod`: a pod of the node that is no endpoint; `r2`: a pod of another node, which comes in by that node;
 * `outside`, `blocked`: two addresses beyond the cluster, the first of them in `RANGES.outside`; `vip`: a process of the
 * node that uses the load balancer's address as its own (see `nodeHoldsVIPs`).
 */
export type Sender = 'pod' | 'l1' | 'r2' | 'node' | 'outside' | 'blocked' | 'vip';

/**
 * Which address of a Service. `nodePort` is on the node's primary address, `nodePort@alt` on its second one. `lb2` is the
 * second load balancer VIP; `unused` is a ClusterIP that no Service has.
 */
export type Entrance =
  | 'clusterIP'
  | 'external'
  | 'lb'
  | 'lb2'
  | 'nodePort'
  | 'nodePort@alt'
  | 'nodePort@localhost'
  | 'unused';

export type Expectation =
  /** Every one of `backends` and nobody else: `l1`, or `l1:8443` where the port is not the Service's usual one. */
  | { readonly kind: 'reaches'; readonly backends: readonly string[]; readonly isMasqueraded: boolean }
  /** The first connection chooses; all others of the same client, by any address of the Service, go the same way. */
  | { readonly kind: 'sticks'; readonly backends: readonly string[] }
  /** As `sticks`, for each address by itself. */
  | { readonly kind: 'sticks at each address'; readonly backends: readonly string[] }
  /** As `sticks`, until the client has been away for longer than that. */
  | { readonly kind: 'sticks for three seconds'; readonly backends: readonly string[] }
  | { readonly kind: 'reject' }
  /** Silence. */
  | { readonly kind: 'drop' }
  /** As if no Service had this address: it leaves the node, or meets what listens on the node. */
  | { readonly kind: 'untouched' };

export interface Flow {
  readonly from: Sender;
  /** `SERVICE ENTRANCE`; several for what must stick. */
  readonly to: string | readonly string[];
  readonly protocol?: Protocol;
  /** The Service's port, or its name where two have the same number; its first one by default. */
  readonly port?: number;
  readonly expect: Expectation;
  readonly families?: readonly Family[];
  /** Modes that do something else on purpose. */
  readonly except?: Readonly<Partial<Record<TableMode, { readonly expect: Expectation; readonly reason: string }>>>;
}

export interface PortSpec {
  readonly name?: string;
  readonly protocol?: Protocol;
  readonly port: number;
  /** 8080 by default. */
  readonly targetPort?: number;
}

export interface EndpointSpec {
  readonly at: Place;
  /** Its slice does not say on which node it is, as slices that people write. */
  readonly isPlaceless?: true;
  /** Where a named port leads on this pod, instead of the port's `targetPort`. */
  readonly port?: number;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
  readonly zones?: readonly string[];
  readonly nodes?: readonly string[];
  readonly families?: readonly Family[];
  /** Endpoints of different slices go to different EndpointSlices; 0 by default. */
  readonly slice?: number;
}

/** A Service of a scenario: addresses are given to it, and `nodePort` asks for one on each port. */
export interface ServiceSpec {
  readonly name: string;
  /** TCP 80 to 8080 by default. */
  readonly ports?: readonly PortSpec[];
  readonly families?: readonly Family[];
  readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  readonly nodePort?: boolean;
  /** How many VIPs. */
  readonly loadBalancer?: number;
  readonly ipMode?: 'VIP' | 'Proxy';
  readonly external?: boolean;
  readonly sourceRanges?: readonly (keyof typeof RANGES)[];
  readonly internalTrafficPolicy?: 'Local';
  readonly externalTrafficPolicy?: 'Local';
  /** Seconds. */
  readonly affinity?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly endpoints: readonly EndpointSpec[];
}

/** What follows on what was before: these Services take the place of those with their names. */
export interface Stage {
  readonly name: string;
  readonly services: readonly ServiceSpec[];
  /** Names of Services that are deleted, with their EndpointSlices. */
  readonly deleted?: readonly string[];
  readonly flows: readonly Flow[];
}

export interface Scenario extends Stage {
  /** Numbers of docs/behaviours.md. */
  readonly covers: readonly string[];
  /** The test of kube-proxy whose table this was made after. */
  readonly after?: string;
  readonly profile?: ProfileName;
  /** The node has the load balancers' addresses on an interface. */
  readonly nodeHoldsVIPs?: boolean;
  readonly then?: readonly Stage[];
}

/** Source ranges by name, of both families. */
export const RANGES = {
  outside: ['172.18.0.96/28', 'fd00:18::100/124'],
  node: ['172.18.0.11/32', 'fd00:18::11/128'],
  everybody: ['0.0.0.0/0', '::/0'],
  onlyIPv4: ['172.18.0.96/28'],
} as const;

/** How the data plane of the node is told to work. Scenarios with the same profile are in the kernel at the same time. */
export interface Profile extends Partial<DataplaneOptions> {
  /** Label of the node; `zone-a` by default. */
  readonly zone?: string;
}

const NODE_CIDRS = ['10.244.1.0/24', 'fd00:244:1::/64'];

export const PROFILES = {
  default: {},
  'no detector': { localDetector: { kind: 'none' } },
  masqueradeAll: { masqueradeAll: true },
  'masqueradeAll, no detector': { masqueradeAll: true, localDetector: { kind: 'none' } },
  'pods by node CIDR': { localDetector: { kind: 'cidr', cidrs: NODE_CIDRS } },
  'pods by several CIDRs': {
    localDetector: { kind: 'cidr', cidrs: ['10.244.9.0/24', '10.244.1.7/24', '10.244.2.0/24', 'fd00:244::/32'] },
  },
  'pods by interface': { localDetector: { kind: 'interface', name: 'pod5' } },
  'pods by interface prefix': { localDetector: { kind: 'interfacePrefix', prefix: 'pod' } },
  'NodePorts on the primary address': { nodePortAddresses: ['172.18.0.11', 'fd00:18::11'] },
  'NodePorts on the second address': { nodePortAddresses: ['172.18.0.77', 'fd00:18::77'] },
  'NodePorts on loopback': { nodePortAddresses: ['127.0.0.1', '::1'] },
  'NodePorts on loopback, but not on localhost': { nodePortAddresses: ['127.0.0.1', '::1'], localhostNodePorts: false },
  'no NodePorts on localhost': { localhostNodePorts: false },
  'Service CIDRs': { serviceCIDRs: ['10.96.0.0/16', 'fd00:96::/108'] },
  'another mark': { masqueradeBit: 31 },
  'no zone': { zone: '' },
} as const satisfies Readonly<Record<string, Profile>>;
export type ProfileName = keyof typeof PROFILES;

export function reaches(...backends: readonly string[]): Expectation {
  return { kind: 'reaches', backends, isMasqueraded: false };
}
export function masqueraded(...backends: readonly string[]): Expectation {
  return { kind: 'reaches', backends, isMasqueraded: true };
}
export const REJECT: Expectation = { kind: 'reject' };
export const DROP: Expectation = { kind: 'drop' };
export const UNTOUCHED: Expectation = { kind: 'untouched' };

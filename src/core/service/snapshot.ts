import type { Family } from '../ip.ts';
import type { IpvsOptions, IpvsScheduler } from './ipvs-options.ts';

export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** One address and port that connections to a Service may be sent to. */
export interface Backend {
  /** Canonical text form, of the family of its ServicePort. */
  readonly address: string;
  readonly port: number;
  /** It runs on this node (`nodeName` of the endpoint equals ours); an endpoint without a node name is never local. */
  readonly isLocal: boolean;
  /** Nobody says on which node it runs, so it may be a pod of this one. */
  readonly isPlaceless?: true;
}

/**
 * Who decides which backend a new connection gets: chance, or a hash of the client's address (and port), which gives the
 * same client the same backend on every node. nftables and IPVS mode can hash; session affinity comes before it.
 */
export const SCHEDULERS = ['random', 'sourceHash', 'sourcePortHash'] as const;
export type Scheduler = (typeof SCHEDULERS)[number];

/** Identity of a ServicePort: `namespace/name:portName/PROTOCOL@family`, e.g. `kube-system/kube-dns:dns/UDP@IPv4`. */
export type ServicePortKey = string;

/**
 * One port of one Service in one IP family, with the backends this node may use for it: everything that a mode's
 * compiler needs to know, and nothing that it has to look up elsewhere. Values are never mutated; a change makes a new
 * value. Addresses are canonical text, sorted, without duplicates, and all of `family`.
 */
export interface ServicePort {
  readonly key: ServicePortKey;
  readonly namespace: string;
  readonly name: string;
  /** Empty for an unnamed port. */
  readonly portName: string;
  readonly family: Family;
  readonly protocol: Protocol;
  readonly port: number;
  readonly clusterIP: string;
  /** 0 when the Service has none. */
  readonly nodePort: number;
  readonly externalIPs: readonly string[];
  readonly loadBalancerVIPs: readonly string[];
  /** CIDRs that may reach `loadBalancerVIPs`; empty means anybody. */
  readonly loadBalancerSourceRanges: readonly string[];
  /** `internalTrafficPolicy: Local` */
  readonly internalLocal: boolean;
  /** `externalTrafficPolicy: Local` on a Service that is reachable from outside. */
  readonly externalLocal: boolean;
  /** Seconds that a client stays with its backend (`sessionAffinity: ClientIP`); 0 without affinity. */
  readonly affinitySeconds: number;
  readonly scheduler: Scheduler;
  /** For IPVS mode alone: instead of what `scheduler` and the profile say. Where the kernel lacks it, theirs is used. */
  readonly ipvsScheduler?: IpvsScheduler;
  /** It asks for metrics of its own. Rules do not depend on it. */
  readonly isCounted?: boolean;
  /** 0 unless type LoadBalancer with `externalTrafficPolicy: Local`. */
  readonly healthCheckNodePort: number;
  /** Where traffic under policy Cluster goes. Sorted by address and port. */
  readonly clusterBackends: readonly Backend[];
  /** Where traffic under policy Local goes. Sorted by address and port. */
  readonly localBackends: readonly Backend[];
  /** Some usable endpoint exists anywhere: without one traffic is rejected, with one elsewhere Local traffic is dropped. */
  readonly hasEndpoints: boolean;
  /**
   * What established flows may stay with, whatever policies say of new ones: for UDP every serving endpoint, for SCTP every
   * endpoint that exists; empty for TCP. Sorted by address and port. Rules do not depend on it.
   */
  readonly flowBackends: readonly Backend[];
  /** Addresses of the ready endpoints on this node, for the health check port; empty without one. Rules do not depend on it. */
  readonly readyLocalAddresses: readonly string[];
}

/** What is decided of a ServicePort's endpoints: which ones this node may use. */
export type Categories = Pick<ServicePort, 'clusterBackends' | 'localBackends' | 'hasEndpoints'>;

/** What is to be known of a ServicePort's endpoints beside where new connections go. */
export type EndpointFacts = Pick<ServicePort, 'flowBackends' | 'readyLocalAddresses'>;

/** A ServicePort without what its EndpointSlices say. */
export type ServicePortSpec = Omit<ServicePort, keyof Categories | keyof EndpointFacts>;

export type ServicePorts = ReadonlyMap<ServicePortKey, ServicePort>;

/** The traffic that counts as coming from a pod of this cluster (kube-proxy's detectLocalMode). */
export type LocalDetector =
  | { readonly kind: 'none' }
  | { readonly kind: 'cidr'; readonly cidrs: readonly string[] }
  | { readonly kind: 'interface'; readonly name: string }
  | { readonly kind: 'interfacePrefix'; readonly prefix: string };

/** What the whole data plane of a node depends on, beside its Services. */
export interface DataplaneOptions {
  readonly families: readonly Family[];
  readonly localDetector: LocalDetector;
  readonly masqueradeAll: boolean;
  /** Bit number (0 to 31) of the packet mark that asks for masquerading; kube-proxy's default is 14 (0x4000). */
  readonly masqueradeBit: number;
  /**
   * Which addresses of the node accept NodePorts: `all` (every local address), or those listed (canonical addresses of
   * this node, both families mixed).
   */
  readonly nodePortAddresses: 'all' | readonly string[];
  /** Whether the IPv4 loopback addresses among them do; those of IPv6 never do. IPVS mode cannot. */
  readonly localhostNodePorts: boolean;
  /** CIDRs that ClusterIPs are taken from, both families mixed; empty where nobody knows them. */
  readonly serviceCIDRs: readonly string[];
  /** For IPVS mode alone; absent means kube-proxy's defaults. */
  readonly ipvs?: IpvsOptions;
}

/** Everything the kernel must hold. `servicePorts` is a live view that stays valid until the table it came from changes. */
export interface Snapshot {
  readonly options: DataplaneOptions;
  readonly servicePorts: ServicePorts;
}

/** `before` is absent for a new ServicePort, `after` for a removed one; never both. */
export interface ServicePortChange {
  readonly key: ServicePortKey;
  readonly before?: ServicePort;
  readonly after?: ServicePort;
}

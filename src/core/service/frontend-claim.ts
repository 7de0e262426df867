import type { ServicePortSpec } from './snapshot.ts';

/** Where connections to a Service arrive: an address, or any address of the node, with protocol and port. */
export type Frontend = string;

/** Who has a frontend that several ask for: who was given it by the API server, by a controller, or only asked for it. */
const RANKS = { clusterIP: 0, nodePort: 0, loadBalancerVIPs: 1, externalIPs: 2 } as const;

/** One frontend that a ServicePort asks for. */
export interface Claim {
  readonly frontend: Frontend;
  readonly rank: number;
  /** In words, such as `192.0.2.1 port 80/TCP`. */
  readonly what: string;
}

function addressClaim({ protocol, port }: ServicePortSpec, address: string, rank: number): Claim {
  return { frontend: `${address} ${protocol} ${port}`, rank, what: `${address} port ${port}/${protocol}` };
}

function nodePortClaim({ family, protocol, nodePort }: ServicePortSpec): Claim {
  return {
    frontend: `${family} ${protocol} ${nodePort}`,
    rank: RANKS.nodePort,
    what: `NodePort ${nodePort}/${protocol}`,
  };
}

/** Everything that the port asks for, each once. */
export function claimsOf(port: ServicePortSpec): readonly Claim[] {
  return [
    addressClaim(port, port.clusterIP, RANKS.clusterIP),
    ...port.loadBalancerVIPs.map((address) => addressClaim(port, address, RANKS.loadBalancerVIPs)),
    ...port.externalIPs.map((address) => addressClaim(port, address, RANKS.externalIPs)),
    ...(port.nodePort === 0 ? [] : [nodePortClaim(port)]),
  ];
}

/**
 * What is left of the port, which goes as a whole without its ClusterIP. The port itself where it has all that it asks for,
 * so that nothing counts as changed.
 */
export function grantedPort(port: ServicePortSpec, has: (claim: Claim) => boolean): ServicePortSpec[] {
  if (!has(addressClaim(port, port.clusterIP, RANKS.clusterIP))) return [];
  const loadBalancerVIPs = port.loadBalancerVIPs.filter((vip) => has(addressClaim(port, vip, RANKS.loadBalancerVIPs)));
  const externalIPs = port.externalIPs.filter((ip) => has(addressClaim(port, ip, RANKS.externalIPs)));
  const nodePort = port.nodePort !== 0 && has(nodePortClaim(port)) ? port.nodePort : 0;
  const isWhole =
    loadBalancerVIPs.length === port.loadBalancerVIPs.length &&
    externalIPs.length === port.externalIPs.length &&
    nodePort === port.nodePort;
  if (isWhole) return [port];
  const isReachable = nodePort !== 0 || externalIPs.length > 0 || loadBalancerVIPs.length > 0;
  return [{ ...port, loadBalancerVIPs, externalIPs, nodePort, externalLocal: port.externalLocal && isReachable }];
}

import type { Endpoint } from './endpoints.ts';
import type { Backend, Categories, ServicePortSpec } from './snapshot.ts';

/** Where this agent runs. */
export interface NodePlace {
  readonly nodeName: string;
  /** Label `topology.kubernetes.io/zone` of the node; empty or absent means unknown. */
  readonly zone?: string | undefined;
}

type Policies = Pick<
  ServicePortSpec,
  'internalLocal' | 'externalLocal' | 'nodePort' | 'externalIPs' | 'loadBalancerVIPs'
>;

/**
 * Decides which endpoints this node may use. A list that no destination of the ServicePort needs stays empty, so that
 * changes to it are no changes.
 */
export function categorizeEndpoints(policies: Policies, endpoints: readonly Endpoint[], place: NodePlace): Categories {
  const external = isReachableFromOutside(policies);
  const usesCluster = !policies.internalLocal || external;
  const usesLocal = policies.internalLocal || (policies.externalLocal && external);
  return {
    clusterBackends: usesCluster ? backends(clusterEndpoints(endpoints, place), place) : [],
    localBackends: usesLocal ? backends(localEndpoints(endpoints, place), place) : [],
    hasEndpoints: endpoints.some((endpoint) => endpoint.ready || isServingTerminating(endpoint)),
  };
}

function isReachableFromOutside(policies: Policies): boolean {
  return policies.nodePort !== 0 || policies.externalIPs.length > 0 || policies.loadBalancerVIPs.length > 0;
}

function clusterEndpoints(endpoints: readonly Endpoint[], place: NodePlace): readonly Endpoint[] {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? nearest(ready, place) : endpoints.filter(isServingTerminating);
}

/** Hints are all or nothing: one ready endpoint without them, and the level does not count. */
function nearest(ready: readonly Endpoint[], place: NodePlace): readonly Endpoint[] {
  if (ready.every((endpoint) => endpoint.nodeHints.length > 0)) {
    const sameNode = ready.filter((endpoint) => endpoint.nodeHints.includes(place.nodeName));
    if (sameNode.length > 0) return sameNode;
  }
  const zone = place.zone ?? '';
  if (zone !== '' && ready.every((endpoint) => endpoint.zoneHints.length > 0)) {
    const sameZone = ready.filter((endpoint) => endpoint.zoneHints.includes(zone));
    if (sameZone.length > 0) return sameZone;
  }
  return ready;
}

function localEndpoints(endpoints: readonly Endpoint[], place: NodePlace): readonly Endpoint[] {
  const local = endpoints.filter((endpoint) => isLocal(endpoint, place));
  const ready = local.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? ready : local.filter(isServingTerminating);
}

function isLocal(endpoint: Endpoint, place: NodePlace): boolean {
  return endpoint.nodeName !== undefined && endpoint.nodeName === place.nodeName;
}

function isServingTerminating(endpoint: Endpoint): boolean {
  return endpoint.serving && endpoint.terminating;
}

function backends(endpoints: readonly Endpoint[], place: NodePlace): readonly Backend[] {
  return endpoints.map((endpoint) => ({
    address: endpoint.address,
    port: endpoint.port,
    isLocal: isLocal(endpoint, place),
    ...(endpoint.nodeName === undefined ? { isPlaceless: true as const } : {}),
  }));
}

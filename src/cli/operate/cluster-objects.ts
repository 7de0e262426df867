import type { ObjectMeta } from '../../core/api/meta.ts';
import type { NodeProxyState, RenderedConfig } from '../../core/api/node-proxy-state.ts';
import type { EndpointSlice, Service } from '../../core/kubernetes.ts';
import type { ClusterObjects, SnapshotNode } from '../../core/node/node-snapshot.ts';
import type { RolloutNode } from '../../core/rollout/node.ts';
import type { ClusterApi } from './cluster-api.ts';
import { listIfAllowed } from './fleet.ts';

/** A Node, in all the ways in which it is looked at here. */
export type NodeJson = SnapshotNode & RolloutNode & { readonly metadata: ObjectMeta };

/** What the rules of every node are made from. Throws ApiError. */
export async function readClusterObjects(api: ClusterApi): Promise<ClusterObjects> {
  const [services, endpointSlices, cidrs = []] = await Promise.all([
    api.list<Service>('/api/v1/services'),
    api.list<EndpointSlice>('/apis/discovery.k8s.io/v1/endpointslices'),
    listIfAllowed(api.list<{ spec?: { cidrs?: string[] } }>('/apis/networking.k8s.io/v1/servicecidrs')),
  ]);
  return { services, endpointSlices, serviceCIDRs: cidrs.flatMap(({ spec }) => spec?.cidrs ?? []) };
}

export function readNodes(api: ClusterApi): Promise<NodeJson[]> {
  return api.list<NodeJson>('/api/v1/nodes');
}

/** What a node serves now: what it is to run, in the mode that it has. Undefined where it serves nothing yet. */
export function servingConfig({ spec, status }: NodeProxyState): RenderedConfig | undefined {
  const mode = status?.current?.mode;
  return mode === undefined ? undefined : { ...spec.rendered, mode };
}

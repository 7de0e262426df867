import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { ProxyProfile } from '../api/proxy-profile.ts';
import type { EndpointSlice, Service } from '../kubernetes.ts';
import type { SnapshotNode } from '../node/node-snapshot.ts';
import type { Pod } from '../pod.ts';
import type { RolloutNode } from '../rollout/node.ts';
import type { NodeReport } from './node-report.ts';

type ServiceSpec = NonNullable<Service['spec']>;
type ServicePortSpec = NonNullable<ServiceSpec['ports']>[number];

/** A Service as it is written, with what the data plane does not read but a diagnosis does. */
export interface EvidenceService {
  readonly metadata?: Service['metadata'] & { readonly creationTimestamp?: string };
  readonly spec?: Omit<ServiceSpec, 'ports'> & {
    readonly selector?: Readonly<Record<string, string>> | null;
    readonly ports?: readonly (ServicePortSpec & { readonly targetPort?: number | string | null })[] | null;
    readonly loadBalancerClass?: string | null;
  };
  readonly status?: Service['status'];
}

export interface EvidenceNode extends SnapshotNode {
  readonly metadata: RolloutNode['metadata'];
  readonly status?: SnapshotNode['status'] & RolloutNode['status'];
}

export interface AgentLease {
  readonly node: string;
  readonly renewedAtMs: number;
  readonly durationMs: number;
}

/** Everything that was gathered. What could not be read is undefined, and what needs it is not judged. */
export interface Evidence {
  readonly nowMs: number;
  /** The Service that somebody asked about; undefined for the whole cluster. */
  readonly subject?: { readonly namespace: string; readonly name: string } | undefined;
  readonly services: readonly EvidenceService[];
  readonly endpointSlices: readonly EndpointSlice[];
  readonly serviceCIDRs: readonly string[];
  readonly pods: readonly Pod[] | undefined;
  readonly nodes: readonly EvidenceNode[] | undefined;
  readonly profiles: readonly ProxyProfile[];
  readonly states: readonly NodeProxyState[];
  readonly leases: readonly AgentLease[] | undefined;
  /** What agents say of their kernels, by node. */
  readonly reports: ReadonlyMap<string, NodeReport>;
  /** Nodes whose agents were asked and did not answer in time. */
  readonly silent?: readonly string[] | undefined;
}

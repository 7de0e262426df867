import type { RenderedConfig } from '../api/node-proxy-state.ts';
import { resolveOptions } from '../service/dataplane-options.ts';
import { familyOfText, FAMILIES, parseAddress, parsePrefix } from '../ip.ts';
import type { EndpointSlice, Node, Service } from '../kubernetes.ts';
import { LABEL_HEADLESS, LABEL_SERVICE_PROXY_NAME } from '../kubernetes.ts';
import { ServiceTable } from '../service/service-table.ts';
import type { Snapshot } from '../service/snapshot.ts';

/** A Node as far as rules depend on it. */
export interface SnapshotNode extends Node {
  readonly spec?: { readonly podCIDR?: string; readonly podCIDRs?: readonly string[] };
}

export interface ClusterObjects {
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
  /** Of the ServiceCIDR objects; empty where the cluster has none. */
  readonly serviceCIDRs: readonly string[];
}

export interface NodeSnapshot {
  readonly snapshot: Snapshot;
  /** The addresses that the Node tells of, canonical; it may have more on its interfaces. */
  readonly localAddresses: ReadonlySet<string>;
}

function addressesOf(node: Node, types: readonly string[]): string[] {
  return (node.status?.addresses ?? []).flatMap(({ type, address }) => {
    if (!types.includes(type ?? '')) return [];
    try {
      return [parseAddress(address ?? '').text];
    } catch {
      return [];
    }
  });
}

/**
 * What the agent of a node makes of the cluster's objects when it runs `config`, made without the node: its addresses are
 * those that its Node object tells of. Both families are taken to be served where the Node has addresses of both.
 */
export function snapshotOfNode(node: SnapshotNode, config: RenderedConfig, objects: ClusterObjects): NodeSnapshot {
  const internal = addressesOf(node, ['InternalIP']);
  const local = new Set([...internal, ...addressesOf(node, ['ExternalIP'])]);
  const podCIDRs = node.spec?.podCIDRs ?? (node.spec?.podCIDR === undefined ? [] : [node.spec.podCIDR]);
  const families = FAMILIES.filter((family) => [...local].some((address) => familyOfText(address) === family));
  const dataplane = resolveOptions(config, {
    families: families.length === 0 ? FAMILIES : families,
    podCIDRs: podCIDRs.map((each) => parsePrefix(each).text),
    primaryAddresses: FAMILIES.flatMap((family) => internal.find((address) => familyOfText(address) === family) ?? []),
    localAddresses: [...local],
    serviceCIDRs: objects.serviceCIDRs,
  });
  const table = new ServiceTable({ nodeName: node.metadata?.name ?? '', dataplane });
  table.setNode(node);
  table.replaceServices(
    objects.services.filter(({ metadata }) => metadata?.labels?.[LABEL_SERVICE_PROXY_NAME] === undefined),
  );
  table.replaceEndpointSlices(
    objects.endpointSlices.filter(({ metadata }) => metadata?.labels?.[LABEL_HEADLESS] === undefined),
  );
  return { snapshot: table.take().snapshot, localAddresses: local };
}

import type { RenderedConfig } from './api/node-proxy-state.ts';
import { ipvsOptions } from './ipvs-options.ts';
import { parseAddress, parsePrefix, prefixContains, type Family } from './ip.ts';
import type { DataplaneOptions, LocalDetector } from './snapshot.ts';

/** What the data plane's options depend on in the node itself. */
export interface NodeNetwork {
  /** The families that this kernel can serve. */
  readonly families: readonly Family[];
  /** `spec.podCIDRs` of the Node. */
  readonly podCIDRs: readonly string[];
  /** The first InternalIP of each family, canonical. */
  readonly primaryAddresses: readonly string[];
  /** All addresses on the node's interfaces, canonical; needed only where `needsLocalAddresses`. */
  readonly localAddresses: readonly string[];
}

/** Whether the rules depend on which addresses the node has now; IPVS has virtual servers for them. */
export function needsLocalAddresses({ mode, nodePortAddresses }: RenderedConfig): boolean {
  if (mode === 'ipvs') return true;
  return nodePortAddresses.some((each) => each !== 'primary');
}

/** What a mode is told on this node. The same input gives an equal value. */
export function resolveOptions(config: RenderedConfig, network: NodeNetwork): DataplaneOptions {
  return {
    families: network.families,
    localDetector: localDetector(config, network),
    masqueradeAll: config.masqueradeAll,
    masqueradeBit: config.masqueradeBit,
    nodePortAddresses: nodePortAddresses(config, network),
    ...(config.mode === 'ipvs' ? { ipvs: ipvsOptions(config) } : {}),
  };
}

function localDetector(
  { detectLocalMode, detectLocal, clusterCIDR }: RenderedConfig,
  network: NodeNetwork,
): LocalDetector {
  switch (detectLocalMode) {
    case 'ClusterCIDR':
      return cidrDetector(clusterCIDR === '' ? [] : clusterCIDR.split(','));
    case 'NodeCIDR':
      return cidrDetector(network.podCIDRs);
    case 'BridgeInterface':
      return { kind: 'interface', name: detectLocal.bridgeInterface ?? '' };
    case 'InterfaceNamePrefix':
      return { kind: 'interfacePrefix', prefix: detectLocal.interfaceNamePrefix ?? '' };
  }
}

function cidrDetector(cidrs: readonly string[]): LocalDetector {
  return cidrs.length === 0 ? { kind: 'none' } : { kind: 'cidr', cidrs: cidrs.map((each) => parsePrefix(each).text) };
}

/** A family that no CIDR of the list speaks of accepts all its addresses, as in kube-proxy. */
function nodePortAddresses(
  { nodePortAddresses: wanted }: RenderedConfig,
  network: NodeNetwork,
): 'all' | readonly string[] {
  if (wanted.length === 0) return 'all';
  if (wanted.includes('primary')) return network.primaryAddresses;
  const prefixes = wanted.map(parsePrefix);
  return network.localAddresses.filter((text) => {
    const address = parseAddress(text);
    const own = prefixes.filter((prefix) => prefix.family === address.family);
    return own.length === 0 || own.some((prefix) => prefixContains(prefix, address));
  });
}

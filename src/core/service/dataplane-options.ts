import type { RenderedConfig } from '../api/node-proxy-state.ts';
import { ipvsOptions } from './ipvs-options.ts';
import { parseAddress, parsePrefix, prefixContains, type Family } from '../ip.ts';
import type { Mode } from '../mode.ts';
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
  /** Where the cluster takes ClusterIPs from, canonical; empty where it does not say. */
  readonly serviceCIDRs: readonly string[];
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
    localhostNodePorts: config.localhostNodePorts,
    serviceCIDRs: network.serviceCIDRs,
    ...(config.mode === 'ipvs' ? { ipvs: ipvsOptions(config) } : {}),
  };
}

const LOOPBACK = parseAddress('127.0.0.1');

/**
 * Whether NodePorts answer on the IPv4 loopback addresses, whose packets the kernel sends on only when it is told to. IPVS
 * has no virtual servers there, as in kube-proxy.
 */
export function servesLocalhostNodePorts(
  mode: Mode,
  { localhostNodePorts, nodePortAddresses: wanted }: Pick<RenderedConfig, 'localhostNodePorts' | 'nodePortAddresses'>,
): boolean {
  if (mode === 'ipvs' || !localhostNodePorts || wanted.includes('primary')) return false;
  const own = wanted.map(parsePrefix).filter(({ family }) => family === 'IPv4');
  return own.length === 0 || own.some((prefix) => prefixContains(prefix, LOOPBACK) || prefix.text.startsWith('127.'));
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

/** What comes to a loopback address can be sent on in IPv4 only, and only where it is wanted. */
export function mayAcceptNodePorts(
  address: string,
  { localhostNodePorts }: Pick<DataplaneOptions, 'localhostNodePorts'>,
): boolean {
  if (address === '::1') return false;
  return localhostNodePorts || !address.startsWith('127.');
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

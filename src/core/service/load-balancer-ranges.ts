import type { ServicePortSpec } from './snapshot.ts';
import { addressBits, parsePrefix, prefixContains, type Address } from '../ip.ts';

/**
 * A node that its own source ranges allow connects to a load balancer VIP that is on one of its interfaces *from* that
 * VIP, so the VIPs are allowed as well.
 */
export function rangesWithOwnNode(spec: ServicePortSpec, nodeAddresses: readonly Address[]): readonly string[] {
  const ranges = spec.loadBalancerSourceRanges;
  const allowsNode = ranges.map(parsePrefix).some((prefix) => nodeAddresses.some((own) => prefixContains(prefix, own)));
  if (!allowsNode) return ranges;
  return [...new Set([...ranges, ...spec.loadBalancerVIPs.map((vip) => `${vip}/${addressBits(spec.family)}`)])].sort();
}

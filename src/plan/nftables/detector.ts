import type { DataplaneOptions, LocalDetector } from '../../core/service/snapshot.ts';
import { join, prefixBytes } from './bytes.ts';
import type { Expression } from './expression.ts';
import { loadAddress } from './load.ts';
import type { FamilyLayout } from './layout.ts';
import { rule } from './objects.ts';
import type { Chain } from './objects.ts';

/** What rules depend on beside the elements: the family and the options of the data plane. */
export interface RuleContext {
  readonly layout: FamilyLayout;
  readonly options: DataplaneOptions;
}

/** Longest interface name and its NUL (IFNAMSIZ); the kernel compares a whole name with all of it. */
const INTERFACE_NAME_BYTES = 16;

/** Matches for packets from this cluster's pods; a packet is from a pod when any of them holds. */
export function matchLocalPods(layout: FamilyLayout, detector: LocalDetector): Expression[][] {
  switch (detector.kind) {
    case 'none':
      return [];
    case 'cidr':
      return detector.cidrs
        .filter((cidr) => cidr.includes(':') === (layout.family === 'IPv6'))
        .map((cidr) => matchSource(layout, cidr));
    case 'interface': {
      const name = Buffer.alloc(INTERFACE_NAME_BYTES);
      name.write(detector.name);
      return [matchInterface(name)];
    }
    case 'interfacePrefix':
      return [matchInterface(Buffer.from(detector.prefix))];
  }
}

function matchInterface(name: Uint8Array): Expression[] {
  return [
    { kind: 'meta', key: 'iifname', to: 0 },
    { kind: 'compare', from: 0, isEqual: true, value: Uint8Array.from(name) },
  ];
}

export function matchSource(layout: FamilyLayout, cidr: string): Expression[] {
  return matchPrefix(loadAddress(layout, 'saddr', 0), cidr, true);
}

/** Compares the address that `load` puts into word 0. */
export function matchPrefix(load: Expression, cidr: string, isEqual: boolean): Expression[] {
  const { address, mask } = prefixBytes(cidr);
  return [
    load,
    { kind: 'bitwise', from: 0, to: 0, mask: join(mask), xor: new Uint8Array(mask.length) },
    { kind: 'compare', from: 0, isEqual, value: join(address) },
  ];
}

/** Where connections to ClusterIPs go to be marked, or not. */
export function masqueradeChain(options: DataplaneOptions): string {
  return options.masqueradeAll ? 'mark-for-masquerade' : 'mark-unless-from-pod';
}

/**
 * Marks connections to ClusterIPs that do not come from a pod: their endpoint may have no way back to the client, or one
 * around this node. Without a detector nobody can tell, and nothing is marked.
 */
export function markUnlessFromPodChain({ layout, options }: RuleContext): Chain {
  const name = 'mark-unless-from-pod';
  const pods = matchLocalPods(layout, options.localDetector);
  if (pods.length === 0) return { name, rules: [] };
  const returns = pods.map((match) => rule(...match, { kind: 'verdict', verdict: { kind: 'return' } }));
  return {
    name,
    rules: [...returns, rule({ kind: 'verdict', verdict: { kind: 'goto', chain: 'mark-for-masquerade' } })],
  };
}

import type { ServicePort } from '../../core/service/snapshot.ts';
import { join, prefixBytes } from './bytes.ts';
import type { Bytes } from './bytes.ts';
import type { SetElement } from './objects.ts';

interface Range {
  readonly first: Bytes;
  readonly last: Bytes;
}

/** Who may reach a load balancer's address. `frontend` is the key of that address. */
export function sourceRangeElements(port: ServicePort, address: string, frontend: Bytes): SetElement[] {
  const { loadBalancerSourceRanges, loadBalancerVIPs } = port;
  if (loadBalancerSourceRanges.length === 0 || !loadBalancerVIPs.includes(address)) return [];
  const ranges = merge(loadBalancerSourceRanges.map(rangeOf));
  return [
    { set: 'restricted', element: { key: join(frontend) } },
    ...ranges.map(({ first, last }): SetElement => ({
      set: 'allowed-sources',
      element: { key: join(frontend, first), keyEnd: join(frontend, last) },
    })),
  ];
}

function rangeOf(cidr: string): Range {
  const { address, mask } = prefixBytes(cidr);
  return { first: address, last: address.map((byte, index) => byte | (0xff & ~(mask[index] ?? 0))) };
}

/** The kernel refuses ranges that overlap (ENOTEMPTY); users may well write them. */
function merge(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges.toSorted((a, b) => compareBytes(a.first, b.first))) {
    const previous = merged.at(-1);
    if (previous === undefined || compareBytes(range.first, previous.last) > 0) {
      merged.push(range);
    } else if (compareBytes(range.last, previous.last) > 0) {
      merged[merged.length - 1] = { first: previous.first, last: range.last };
    }
  }
  return merged;
}

function compareBytes(a: Bytes, b: Bytes): number {
  for (const [index, byte] of a.entries()) {
    const difference = byte - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

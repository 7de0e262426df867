import { bytesKey } from '../nftables/bytes.ts';
import type { Element, Part, SetDefinition } from '../nftables/objects.ts';
import type { Memory } from './packet.ts';

const PART_BYTES: Readonly<Record<Part, number>> = {
  ipv4_addr: 4,
  ipv6_addr: 16,
  inet_proto: 4,
  inet_service: 4,
  mark: 4,
};

/** Bytes of a concatenation. */
export function lengthOf(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + PART_BYTES[part], 0);
}

/** Each part by itself lies in its range. */
export function isWithin({ key: parts }: SetDefinition, key: Uint8Array, element: Element): boolean {
  let at = 0;
  return parts.every((part) => {
    const slice = (bytes: Uint8Array): Buffer => Buffer.from(bytes.slice(at, at + PART_BYTES[part]));
    const [value, first, last] = [slice(key), slice(element.key), slice(element.keyEnd ?? element.key)];
    at += PART_BYTES[part];
    return Buffer.compare(first, value) <= 0 && Buffer.compare(value, last) <= 0;
  });
}

/** The name under which a set keeps what packets added. */
export function memoryKey(set: SetDefinition, key: Uint8Array): string {
  return `${set.name} ${bytesKey(key)}`;
}

/** The element that packets have left there, if any. */
export function remembered(memory: Memory, set: SetDefinition, key: Uint8Array): Pick<Element, 'data'> | undefined {
  const data = memory.get(memoryKey(set, key));
  return data === undefined ? undefined : { data: Uint8Array.from(data, (char) => char.charCodeAt(0)) };
}

import type { Element } from '../../plan/nftables/objects.ts';
import { ATTRIBUTE_HEADER_BYTES, MAX_ATTRIBUTE_BYTES } from '../netlink/attributes.ts';
import type { Request } from '../netlink/connection.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts';
import { NFT_MSG } from './constants.ts';
import { messageFor } from './message.ts';
import type { OperationOf } from './message.ts';
import { elementListSchema } from './objects.ts';
import type { DataValues } from './objects.ts';
import { encodeVerdict } from './verdict.ts';

/** Room for an element's nested attributes: list item, key, data, key end, each with an inner value. */
const ELEMENT_OVERHEAD_BYTES = 8 * ATTRIBUTE_HEADER_BYTES;
const VERDICT_BYTES = 64;
/** Two attributes of eight bytes. */
const LIFETIME_BYTES = 2 * (ATTRIBUTE_HEADER_BYTES + 8);

function elementSize({ key, keyEnd, data, lifetime }: Element): number {
  const dataBytes =
    data === undefined ? 0 : data instanceof Uint8Array ? data.length : VERDICT_BYTES + chainBytes(data);
  const lifetimeBytes = lifetime === undefined ? 0 : LIFETIME_BYTES;
  return ELEMENT_OVERHEAD_BYTES + key.length + (keyEnd?.length ?? 0) + dataBytes + lifetimeBytes;
}

function chainBytes(verdict: object): number {
  return 'chain' in verdict && typeof verdict.chain === 'string' ? Buffer.byteLength(verdict.chain) : 0;
}

function encodeElementData(data: NonNullable<Element['data']>): DataValues {
  return data instanceof Uint8Array ? { value: data } : encodeVerdict(data);
}

function encodeLifetime({ timeoutMs, remainingMs }: NonNullable<Element['lifetime']>) {
  return { timeoutMs: BigInt(timeoutMs), expirationMs: BigInt(remainingMs) };
}

/** One message, or several where the list has to be split. */
export function encodeElements(operation: OperationOf<'addElements' | 'deleteElements'>): Request[] {
  const { kind, table, set, elements } = operation;
  const isAdd = kind === 'addElements';
  const about = {
    operation: isAdd ? 'add elements' : 'delete elements',
    object: `set ${set.name}`,
    type: isAdd ? NFT_MSG.NEWSETELEM : NFT_MSG.DELSETELEM,
    // Refused with EEXIST instead of silently kept when somebody else's element is in the way.
    flags: isAdd ? NLM_F_CREATE | NLM_F_EXCL : 0,
  };
  return splitBySize(elements).map((some) =>
    messageFor(table, about, elementListSchema, {
      table: table.name,
      set: set.name,
      elements: some.map(({ key, keyEnd, data, lifetime }) => ({
        key: { value: key },
        keyEnd: keyEnd === undefined ? undefined : { value: keyEnd },
        data: data === undefined || !isAdd ? undefined : encodeElementData(data),
        ...(lifetime === undefined || !isAdd ? {} : encodeLifetime(lifetime)),
      })),
    }),
  );
}

/** Lists whose attribute stays below 65,535 bytes. */
function splitBySize(elements: readonly Element[]): Element[][] {
  const lists: Element[][] = [];
  let current: Element[] = [];
  let size = ATTRIBUTE_HEADER_BYTES;
  for (const element of elements) {
    const bytes = elementSize(element);
    if (size + bytes > MAX_ATTRIBUTE_BYTES) {
      lists.push(current);
      current = [];
      size = ATTRIBUTE_HEADER_BYTES;
    }
    current.push(element);
    size += bytes;
  }
  if (current.length > 0) lists.push(current);
  return lists;
}

import type { Part, SetDefinition } from '../../plan/nftables/objects.ts';
import {
  FIELD_BYTES,
  nameOf,
  NFT_DATA_VERDICT,
  NFT_SET_CONCAT,
  NFT_SET_EVAL,
  NFT_SET_INTERVAL,
  NFT_SET_MAP,
  NFT_SET_TIMEOUT,
  PART_BYTES,
  PART_TYPES,
} from './constants.ts';
import type { SetValues } from './objects.ts';

/** Without a size the kernel lets rules add no element; beyond it they add none, and the packet takes the next rule. */
const DYNAMIC_SET_SIZE = 1 << 20;

const PART_MASK = 0x3f;
/** The expression that every element of a set with counters gets. */
const COUNTER = 'counter';

/** The parts that a type number stands for, six bits each; undefined when one of them is not ours. */
function parseParts(type: number): readonly Part[] | undefined {
  const parts: Part[] = [];
  for (let rest = type; rest !== 0; rest >>>= 6) {
    const part = nameOf(PART_TYPES, rest & PART_MASK);
    if (part === undefined) return undefined;
    parts.unshift(part);
  }
  return parts;
}

/** The definition of a set found in the kernel; one that we would never make has an empty key. */
export function parseSet(values: SetValues): SetDefinition {
  const { name = '', flags = 0, keyType = 0, dataType, expression } = values;
  const data = dataType === NFT_DATA_VERDICT ? 'verdict' : dataType === undefined ? undefined : parseParts(dataType);
  return {
    name,
    key: parseParts(keyType) ?? [],
    ...(data === undefined ? {} : { data }),
    ...((flags & NFT_SET_INTERVAL) === 0 ? {} : { hasRanges: true }),
    ...((flags & NFT_SET_EVAL) === 0 ? {} : { isDynamic: true }),
    ...(expression?.name === COUNTER ? { hasCounters: true } : {}),
  };
}

function partsType(parts: readonly (keyof typeof PART_TYPES)[]): number {
  return parts.reduce((type, part) => (type << 6) | PART_TYPES[part], 0) >>> 0;
}

function partsLength(parts: readonly (keyof typeof PART_BYTES)[]): number {
  return parts.reduce((bytes, part) => bytes + PART_BYTES[part], 0);
}

/** A set as the kernel knows it; what it reports back for an equal set is equal. */
export function describeSet(set: SetDefinition): SetValues {
  const { data } = set;
  const isRangedConcat = set.hasRanges === true && set.key.length > 1;
  const flags =
    (data === undefined ? 0 : NFT_SET_MAP) |
    (set.hasRanges === true ? NFT_SET_INTERVAL : 0) |
    (isRangedConcat ? NFT_SET_CONCAT : 0) |
    (set.isDynamic === true ? NFT_SET_TIMEOUT | NFT_SET_EVAL : 0);
  const dataPart =
    data === undefined
      ? {}
      : data === 'verdict'
        ? { dataType: NFT_DATA_VERDICT, dataLength: 0 }
        : { dataType: partsType(data), dataLength: partsLength(data) };
  return {
    name: set.name,
    flags,
    keyType: partsType(set.key),
    keyLength: partsLength(set.key),
    ...dataPart,
    ...(isRangedConcat ? { description: { concat: set.key.map((part) => ({ length: FIELD_BYTES[part] })) } } : {}),
    ...(set.isDynamic === true ? { description: { size: DYNAMIC_SET_SIZE } } : {}),
    ...(set.hasCounters === true ? { expression: { name: COUNTER, data: new Uint8Array() } } : {}),
  };
}

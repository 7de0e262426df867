import type { Part, SetDefinition } from '../../plan/nftables/objects.ts';
import { nameOf, NFT_DATA_VERDICT, NFT_SET_EVAL, NFT_SET_INTERVAL, PART_TYPES } from './constants.ts';
import type { SetValues } from './objects.ts';

const PART_MASK = 0x3f;

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
  const { name = '', flags = 0, keyType = 0, dataType } = values;
  const data = dataType === NFT_DATA_VERDICT ? 'verdict' : dataType === undefined ? undefined : parseParts(dataType);
  return {
    name,
    key: parseParts(keyType) ?? [],
    ...(data === undefined ? {} : { data }),
    ...((flags & NFT_SET_INTERVAL) === 0 ? {} : { hasRanges: true }),
    ...((flags & NFT_SET_EVAL) === 0 ? {} : { isDynamic: true }),
  };
}

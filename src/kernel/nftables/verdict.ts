import type { Verdict } from '../../plan/nftables/expression.ts';
import { nameOf, VERDICT_CODES } from './constants.ts';
import type { DataValues } from './objects.ts';

/** A verdict as the data of an immediate or of a map's element. */
export function encodeVerdict(verdict: Verdict): DataValues {
  const chain = 'chain' in verdict ? verdict.chain : undefined;
  return { verdict: { code: VERDICT_CODES[verdict.kind], chain } };
}

/** Undefined when it is none of ours. */
export function decodeVerdict(data: DataValues | undefined): Verdict | undefined {
  const kind = nameOf(VERDICT_CODES, data?.verdict?.code);
  if (kind === 'goto' || kind === 'jump') return { kind, chain: data?.verdict?.chain ?? '' };
  return kind === undefined ? undefined : { kind };
}

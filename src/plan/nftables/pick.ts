import type { Scheduler } from '../../core/service/snapshot.ts';
import type { RuleContext } from './detector.ts';
import type { Expression, Word } from './expression.ts';
import { loadAddress, loadKey, loadSourcePort } from './load.ts';
import type { KeyedBy } from './load.ts';
import { rule } from './objects.ts';
import type { Rule } from './objects.ts';

/**
 * The heart of it: a random number, or a hash, is the last part of the key of one map that all Services share.
 * `dnat to daddr . l4proto . dport . numgen random mod N map @endpoints`
 */
export function pickRule(context: RuleContext, keyedBy: KeyedBy, draw: Draw): Rule {
  const { table, addressWords } = context.layout;
  const isNodePort = keyedBy === 'node-port';
  return rule(
    ...loadKey(context.layout, keyedBy, 0),
    ...drawNumber(context, draw, isNodePort ? 2 : addressWords + 2),
    { kind: 'lookup', set: isNodePort ? 'node-port-endpoints' : 'endpoints', from: 0, to: 0 },
    { kind: 'dnat', family: table, address: 0, port: addressWords },
  );
}

export interface Draw {
  readonly scheduler: Scheduler;
  readonly modulus: number;
  readonly offset: number;
}

/** Any number, but the same on all nodes and for good: another one would move clients. */
const HASH_SEED = 0x53574348;
/** Where the client is loaded: behind the longest key and the number. */
const CLIENT_WORD: Word = 8;
const WORD_BYTES = 4;

/** Puts a number from `offset` on and below `offset + modulus` into word `to`. */
function drawNumber({ layout }: RuleContext, { scheduler, modulus, offset }: Draw, to: Word): Expression[] {
  if (scheduler === 'random') return [{ kind: 'random', to, modulus, offset }];
  const client = loadAddress(layout, 'saddr', CLIENT_WORD);
  const hash = { kind: 'hash', from: CLIENT_WORD, to, modulus, offset, seed: HASH_SEED } as const;
  if (scheduler === 'sourceHash') return [client, { ...hash, length: layout.addressBytes }];
  const port = loadSourcePort(CLIENT_WORD + layout.addressWords);
  return [client, port, { ...hash, length: layout.addressBytes + WORD_BYTES }];
}

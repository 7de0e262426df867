import { randomInt } from 'node:crypto';

/** A number from 0 up to, not including, the limit. */
export type RandomBelow = (limit: number) => number;

/** Letters and digits that cannot form words, as the real server's generateName suffixes use them. */
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
const MAX_GENERATED_PREFIX = 63 - SUFFIX_LENGTH;

/** Source of everything the server makes up: uids, generateName suffixes, addresses. Seedable, for repeatable runs. */
export class Identifiers {
  readonly below: RandomBelow;

  constructor(below: RandomBelow = (limit) => randomInt(limit)) {
    this.below = below;
  }

  uid(): string {
    const hex = Array.from({ length: 32 }, () => this.below(16).toString(16));
    hex[12] = '4';
    hex[16] = (8 + this.below(4)).toString(16);
    const text = hex.join('');
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
  }

  generateName(prefix: string): string {
    const letters = Array.from({ length: SUFFIX_LENGTH }, () => SUFFIX_ALPHABET[this.below(SUFFIX_ALPHABET.length)]);
    return prefix.slice(0, MAX_GENERATED_PREFIX) + letters.join('');
  }

  token(): string {
    return Array.from({ length: 40 }, () => this.below(16).toString(16)).join('');
  }
}

/** Repeatable numbers from a seed (mulberry32). */
export function seededRandom(seed: number): RandomBelow {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

import type { Word } from '../../plan/nftables/expression.ts';

/** Where verdicts go. */
export const VERDICT_REGISTER = 0;

/** Words 0, 4, 8 and 12 have two numbers; the kernel reports them as NFT_REG_1 to NFT_REG_4, so we write those. */
export function registerOf(word: Word): number {
  return word % 4 === 0 ? 1 + word / 4 : 8 + word;
}

/** The inverse of `registerOf`; -1, which no rule of ours uses, when there is none. */
export function wordOf(register: number | undefined): Word {
  if (register === undefined) return -1;
  return register < 8 ? (register - 1) * 4 : register - 8;
}

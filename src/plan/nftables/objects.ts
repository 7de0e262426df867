import type { AddressFamily, Expression, Verdict } from './expression.ts';
import type { SetName } from './set-name.ts';

export const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
export type Hook = (typeof HOOKS)[number];

/** Where a base chain sits. Lower priorities run first; NAT chains see only the first packet of a connection. */
export interface BaseChain {
  readonly type: 'filter' | 'nat';
  readonly hook: Hook;
  readonly priority: number;
}

export interface Chain {
  readonly name: string;
  readonly base?: BaseChain | undefined;
  readonly rules: readonly Rule[];
}

export interface Rule {
  readonly expressions: readonly Expression[];
  /** Shown by nft; at most 128 bytes. */
  readonly comment?: string | undefined;
}

export function rule(...expressions: readonly Expression[]): Rule {
  return { expressions };
}

/** The kinds of values in keys and data, by the names nft gives them. `mark` is the only one in native byte order. */
export type Part = 'ipv4_addr' | 'ipv6_addr' | 'inet_proto' | 'inet_service' | 'mark';

export interface SetDefinition {
  readonly name: string;
  readonly key: readonly Part[];
  /** Absent for a plain set. */
  readonly data?: readonly Part[] | 'verdict' | undefined;
  /** Keys may be ranges in their last part (needs Linux 5.6 for concatenations). */
  readonly hasRanges?: boolean | undefined;
  /** Filled from the packet path, with elements that expire: never compared nor emptied. */
  readonly isDynamic?: boolean | undefined;
  /** Each element counts the packets that a rule finds it for (since Linux 5.7). */
  readonly hasCounters?: boolean | undefined;
}

export interface Element {
  readonly key: Uint8Array;
  /** The last key of a range, in sets that have ranges. */
  readonly keyEnd?: Uint8Array | undefined;
  readonly data?: Uint8Array | Verdict | undefined;
  /** In sets with counters, as it was read; writing leaves it at zero, or where it is. */
  readonly counter?: { readonly packets: number; readonly bytes: number } | undefined;
  /** In dynamic sets: it goes after `remainingMs`; packets that refresh it give it `timeoutMs`. */
  readonly lifetime?: { readonly timeoutMs: number; readonly remainingMs: number } | undefined;
}

/** An element of one of our own sets. */
export interface SetElement {
  readonly set: SetName;
  readonly element: Element;
}

/** One table of one family, without the elements of its sets. */
export interface TableDefinition {
  readonly family: AddressFamily;
  readonly name: string;
  readonly chains: readonly Chain[];
  readonly sets: readonly SetDefinition[];
}

/** One step of a transaction. Adding what is there, with the same content, changes nothing. */
export type Operation =
  | { readonly kind: 'addTable' | 'deleteTable'; readonly table: TableName }
  | {
      readonly kind: 'addChain' | 'deleteChain' | 'flushChain';
      readonly table: TableName;
      readonly chain: Omit<Chain, 'rules'>;
    }
  | { readonly kind: 'addRule'; readonly table: TableName; readonly chain: string; readonly rule: Rule }
  | { readonly kind: 'addSet' | 'deleteSet'; readonly table: TableName; readonly set: SetDefinition }
  | {
      readonly kind: 'addElements' | 'deleteElements';
      readonly table: TableName;
      readonly set: SetDefinition;
      readonly elements: readonly Element[];
    };

export interface TableName {
  readonly family: AddressFamily;
  readonly name: string;
}

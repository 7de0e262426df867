/**
 * The tables that hold rules of ours, in the order in which a change is committed: what serves before what refuses. Only
 * IPVS mode uses mangle.
 */
export const TABLES = ['nat', 'mangle', 'filter'] as const;
export type Table = (typeof TABLES)[number];

/** The built-in chains that jump to ours. */
export const BUILTIN_CHAINS = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] as const;
export type BuiltinChain = (typeof BUILTIN_CHAINS)[number];

/**
 * A chain of ours whose rules are evaluated in this order. A rule is the text that `iptables-save` (1.8) prints after
 * `-A CHAIN `, so that a read-back can be compared with it.
 */
export interface Chain {
  readonly table: Table;
  readonly name: string;
  readonly rules: readonly string[];
  /** What it is for, in words: a ServicePort's key, or a purpose. */
  readonly about: string;
}

/** One rule of a list chain: its place among the others does not matter. */
export interface Entry {
  readonly table: Table;
  readonly list: string;
  readonly rule: string;
}

/** A part of the ruleset that shares no chain and no entry with the other parts. */
export interface Fragment {
  readonly chains: readonly Chain[];
  readonly entries: readonly Entry[];
}

/** A chain of ours that holds entries in any order and then `tail`. */
export interface ListChain {
  readonly table: Table;
  readonly name: string;
  readonly tail: readonly string[];
}

/** A rule in a built-in chain that leads to a chain of ours. */
export interface Jump {
  readonly table: Table;
  readonly chain: BuiltinChain;
  readonly rule: string;
}

export const NO_FRAGMENT: Fragment = { chains: [], entries: [] };

import { BUILTIN_CHAINS, TABLES, type BuiltinChain, type Jump, type Table } from './fragment.ts';
import { PREFIX } from './names.ts';
import { chainKey } from './ruleset.ts';

/** What `iptables-save` says about us. */
export interface Saved {
  /** Rules of our chains, by `chainKey`. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Rules in built-in chains that lead to ours, in their order. */
  readonly jumps: readonly Jump[];
  /** Rules and chains that anybody made, in any table. */
  readonly objectCount: number;
}

export const NOTHING_SAVED: Saved = { chains: new Map(), jumps: [], objectCount: 0 };

/** Built-in chains show their policy instead of the dash. */
const MADE_CHAIN = /^:\S+ - /;

/** The target is the last option of such a rule, or is followed only by the target's own options. */
const OWN_TARGET = new RegExp(` -[jg] ${PREFIX}`);

/** Reads the output of `iptables-save`; tables, chains and rules of others are only counted. Never throws. */
export function parseSaved(text: string): Saved {
  const chains = new Map<string, string[]>();
  const jumps: Jump[] = [];
  let table: Table | undefined;
  let objectCount = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = TABLES.find((known) => known === line.slice(1));
    const isRule = line.startsWith('-A ');
    if (isRule || MADE_CHAIN.test(line)) objectCount += 1;
    if (table === undefined) continue;
    if (line.startsWith(`:${PREFIX}`)) chains.set(chainKey(table, line.slice(1, line.indexOf(' '))), []);
    if (isRule) readRule(table, line, chains, jumps);
  }
  return { chains, jumps, objectCount };
}

function readRule(table: Table, line: string, chains: ReadonlyMap<string, string[]>, jumps: Jump[]): void {
  const end = line.indexOf(' ', 3);
  const chain = line.slice(3, end);
  const rule = line.slice(end + 1);
  if (chain.startsWith(PREFIX)) {
    chains.get(chainKey(table, chain))?.push(rule);
  } else if (isBuiltinChain(chain) && OWN_TARGET.test(` ${rule}`)) {
    jumps.push({ table, chain, rule });
  }
}

function isBuiltinChain(name: string): name is BuiltinChain {
  return (BUILTIN_CHAINS as readonly string[]).includes(name);
}

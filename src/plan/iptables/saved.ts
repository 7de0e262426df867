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
  /** There are chains of ours, in whichever mode. */
  readonly hasOurs: boolean;
}

export const NOTHING_SAVED: Saved = { chains: new Map(), jumps: [], objectCount: 0, hasOurs: false };

/** The modes that have chains; each sees only its own. */
export type ChainOwner = 'iptables' | 'ipvs';

const OWN_NAME: Readonly<Record<ChainOwner, string>> = {
  iptables: `${PREFIX}(?!IPVS-)`,
  ipvs: `${PREFIX}IPVS-`,
};

/** Whether the chain is one of this mode's. */
export function isOwnChain(name: string, owner: ChainOwner): boolean {
  return new RegExp(`^${OWN_NAME[owner]}`).test(name);
}

/** Chains that somebody made, and rules; built-in chains show their policy instead of the dash. */
const OBJECT = /^(?:-A |:\S+ - )/gm;

/** Reads the output of `iptables-save`; tables, chains and rules of others are only counted. Never throws. */
export function parseSaved(text: string, owner: ChainOwner = 'iptables'): Saved {
  const isOwn = new RegExp(`^${OWN_NAME[owner]}`);
  // The target is the last option of such a rule, or is followed only by the target's own options.
  const hasOwnTarget = new RegExp(` -[jg] ${OWN_NAME[owner]}`);
  const chains = new Map<string, string[]>();
  const jumps: Jump[] = [];
  for (const { table, line } of linesOfTables(text)) {
    if (line.startsWith(':')) {
      const name = line.slice(1, line.indexOf(' '));
      if (isOwn.test(name)) chains.set(chainKey(table, name), []);
    } else if (line.startsWith('-A ')) {
      const { chain, rule } = splitRule(line);
      if (isOwn.test(chain)) chains.get(chainKey(table, chain))?.push(rule);
      else if (isBuiltinChain(chain) && hasOwnTarget.test(` ${rule}`)) jumps.push({ table, chain, rule });
    }
  }
  return { chains, jumps, objectCount: text.match(OBJECT)?.length ?? 0, hasOurs: text.includes(`\n:${PREFIX}`) };
}

function* linesOfTables(text: string): Generator<{ readonly table: Table; readonly line: string }> {
  let table: Table | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = TABLES.find((known) => known === line.slice(1));
    if (table !== undefined) yield { table, line };
  }
}

function splitRule(line: string): { readonly chain: string; readonly rule: string } {
  const end = line.indexOf(' ', 3);
  return { chain: line.slice(3, end), rule: line.slice(end + 1) };
}

function isBuiltinChain(name: string): name is BuiltinChain {
  return (BUILTIN_CHAINS as readonly string[]).includes(name);
}

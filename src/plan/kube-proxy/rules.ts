import { BUILTIN_CHAINS, TABLES, type BuiltinChain, type Table } from '../iptables/fragment.ts';

/** One table of `iptables-save`, whoever made what is in it. */
export interface SavedTable {
  readonly table: Table;
  /** Built-in chains with their policy, the others with `-`. */
  readonly policies: ReadonlyMap<string, string>;
  readonly rules: readonly SavedRule[];
}

export interface SavedRule {
  readonly chain: string;
  /** What stands after `-A CHAIN `. */
  readonly rule: string;
  /** The chain that it leads to, or the verdict. */
  readonly target: string;
}

/** Reads the output of `iptables-save`; tables that no Service proxy uses are left out. Never throws. */
export function parseTables(text: string): SavedTable[] {
  const tables: SavedTable[] = [];
  let current: { policies: Map<string, string>; rules: SavedRule[] } | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      const table = TABLES.find((known) => known === line.slice(1));
      current = table === undefined ? undefined : { policies: new Map(), rules: [] };
      if (table !== undefined && current !== undefined) tables.push({ table, ...current });
    } else if (line.startsWith(':')) {
      const [name = '', policy = ''] = line.slice(1).split(' ');
      current?.policies.set(name, policy);
    } else if (line.startsWith('-A ')) {
      const end = line.indexOf(' ', 3);
      const rule = line.slice(end + 1);
      current?.rules.push({ chain: line.slice(3, end), rule, target: targetOf(rule) });
    }
  }
  return tables;
}

/** Text in quotes may say anything. */
function targetOf(rule: string): string {
  return / -[jg] (\S+)/.exec(` ${rule.replaceAll(/"(\\.|[^"\\])*"/g, '""')}`)?.[1] ?? '';
}

export function isBuiltin(chain: string): chain is BuiltinChain {
  return (BUILTIN_CHAINS as readonly string[]).includes(chain);
}

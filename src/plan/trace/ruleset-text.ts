import { TABLES, type Table } from '../iptables/fragment.ts';
import type { Ruleset } from '../iptables/ruleset.ts';

const BUILTIN: Readonly<Record<Table, readonly string[]>> = {
  nat: ['PREROUTING', 'OUTPUT', 'POSTROUTING'],
  mangle: ['OUTPUT'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/** As iptables-save prints it on a kernel that has nothing else. */
export function rulesetText({ chains, lists, jumps }: Ruleset): string {
  return TABLES.map((table) => {
    const own = [...chains.values()].filter((chain) => chain.table === table);
    const listed = [...lists.values()].filter((list) => list.table === table);
    const names = [...BUILTIN[table], ...own.map(({ name }) => name), ...listed.map(({ name }) => name)];
    // Each jump is inserted before what is there.
    const entries = jumps.filter((jump) => jump.table === table).toReversed();
    return [
      `*${table}`,
      ...names.map((name) => `:${name} - [0:0]`),
      ...entries.map(({ chain, rule }) => `-A ${chain} ${rule}`),
      ...own.flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${rule}`)),
      ...listed.flatMap((list) => [...list.entries, ...list.tail].map((rule) => `-A ${list.name} ${rule}`)),
    ].join('\n');
  }).join('\n');
}

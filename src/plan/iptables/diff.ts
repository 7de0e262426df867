import type { Family } from '../../core/ip.ts';
import type { DataplaneOptions, ServicePort, ServicePortChange } from '../../core/service/snapshot.ts';
import { NO_FRAGMENT, type Chain, type Entry, type Fragment, type Jump, type Table } from './fragment.ts';
import type { Operation } from './operation.ts';
import { chainKey, type Ruleset, type WantedList } from './ruleset.ts';
import type { Saved } from './saved.ts';
import { planServicePort } from './service-port.ts';

/** Beyond this many rules to delete one by one, writing the whole list is cheaper: each deletion searches the list. */
const MAX_DELETIONS = 100;

/** What turns `saved` into `wanted`; empty when the kernel holds exactly that. Foreign rules may stand anywhere between. */
export function diffRuleset(saved: Saved, wanted: Ruleset): readonly Operation[] {
  return [
    ...[...wanted.chains].flatMap(([key, chain]) => diffChain(saved.chains.get(key), chain)),
    ...[...wanted.lists].flatMap(([key, list]) => diffList(saved.chains.get(key), list)),
    ...diffJumps(saved.jumps, wanted.jumps),
    ...[...saved.chains.keys()]
      .filter((key) => !wanted.chains.has(key) && !wanted.lists.has(key))
      .map((key) => removeChain(key)),
  ];
}

/** What the changes of one family mean for a kernel that holds all their `before`s. */
export function diffChanges(
  changes: readonly ServicePortChange[],
  options: DataplaneOptions,
  family: Family,
): readonly Operation[] {
  const fragmentOf = (servicePort: ServicePort | undefined): Fragment =>
    servicePort?.family === family ? planServicePort(servicePort, options) : NO_FRAGMENT;
  return changes.flatMap(({ before, after }) => diffFragments(fragmentOf(before), fragmentOf(after)));
}

function diffFragments(before: Fragment, after: Fragment): readonly Operation[] {
  const keyed = (fragment: Fragment): Map<string, Chain> =>
    new Map(fragment.chains.map((chain) => [chainKey(chain.table, chain.name), chain]));
  const [had, wants] = [keyed(before), keyed(after)];
  const identity = (entry: Entry): string => `${entry.table} ${entry.list} ${entry.rule}`;
  const hadEntries = new Set(before.entries.map(identity));
  const wantsEntries = new Set(after.entries.map(identity));
  return [
    ...[...wants].flatMap(([key, chain]) => diffChain(had.get(key)?.rules, chain)),
    ...before.entries.filter((entry) => !wantsEntries.has(identity(entry))).map((entry) => deleteEntry(entry)),
    ...after.entries.filter((entry) => !hadEntries.has(identity(entry))).map((entry) => insertEntry(entry)),
    ...[...had.keys()].filter((key) => !wants.has(key)).map((key) => removeChain(key)),
  ];
}

function diffChain(rules: readonly string[] | undefined, chain: Chain): readonly Operation[] {
  return rules !== undefined && equalRules(rules, chain.rules) ? [] : [{ kind: 'writeChain', ...chain }];
}

function equalRules(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((rule, index) => rule === b[index]);
}

function diffList(rules: readonly string[] | undefined, list: WantedList): readonly Operation[] {
  const rewrite: Operation = {
    kind: 'writeChain',
    table: list.table,
    name: list.name,
    rules: [...list.entries, ...list.tail],
    about: 'leads to what a Service needs',
  };
  if (rules === undefined) return [rewrite];
  const tailStart = rules.length - list.tail.length;
  const entries = rules.slice(0, tailStart);
  const extra = entries.filter((rule) => !list.entries.has(rule));
  const isUnordered = tailStart < 0 || !equalRules(rules.slice(tailStart), list.tail);
  const hasDuplicates = new Set(entries).size !== entries.length;
  if (isUnordered || hasDuplicates || extra.length > MAX_DELETIONS) return [rewrite];
  const held = new Set(entries);
  return [
    ...extra.map((rule) => deleteEntry({ table: list.table, list: list.name, rule })),
    ...[...list.entries]
      .filter((rule) => !held.has(rule))
      .map((rule) => insertEntry({ table: list.table, list: list.name, rule })),
  ];
}

/** A jump that is there once stays where it is: others put theirs in front of ours, and moving would be a quarrel. */
function diffJumps(saved: readonly Jump[], wanted: readonly Jump[]): readonly Operation[] {
  const identity = (jump: Jump): string => `${jump.table} ${jump.chain} ${jump.rule}`;
  const wantedOnce = new Set(wanted.map(identity));
  const surplus = saved.filter((jump) => !wantedOnce.delete(identity(jump)));
  const held = new Set(saved.map(identity));
  // Each is placed first, so the last of the wanted order goes in first.
  const missing = wanted.filter((jump) => !held.has(identity(jump))).reverse();
  return [
    ...surplus.map((jump): Operation => ({ kind: 'deleteRule', ...jump })),
    ...missing.map((jump): Operation => ({ kind: 'insertRule', ...jump })),
  ];
}

function insertEntry({ table, list, rule }: Entry): Operation {
  return { kind: 'insertRule', table, chain: list, rule };
}

function deleteEntry({ table, list, rule }: Entry): Operation {
  return { kind: 'deleteRule', table, chain: list, rule };
}

function removeChain(key: string): Operation {
  const [table, chain = ''] = key.split(' ');
  return { kind: 'removeChain', table: table as Table, chain };
}

import type { ObservedTable } from '../../plan/nftables/diff.ts';
import type { BaseChain, Chain, Element, Rule, TableName } from '../../plan/nftables/objects.ts';
import type { NftablesClient, ObservedChain } from './client.ts';
import { HOOK_NUMBERS, nameOf } from './constants.ts';
import { parseSet } from './set-parts.ts';

/** Reads one table, with the elements of those sets that rules do not fill themselves. */
export async function observeTable(client: NftablesClient, table: TableName): Promise<ObservedTable> {
  const rules = Map.groupBy(await client.listRules(table), ({ chain }) => chain);
  const chains = await client.listChains(table);
  const sets = (await client.listSets(table)).map(parseSet);
  const elements = new Map<string, readonly Element[]>();
  for (const { name, isDynamic } of sets) {
    if (isDynamic !== true) elements.set(name, await client.listElements(table, name));
  }
  return {
    chains: chains.map((chain) => toChain(chain, rules.get(chain.name ?? '')?.map(({ rule }) => rule) ?? [])),
    sets,
    elements,
  };
}

function toChain({ name = '', hook, type }: ObservedChain, rules: readonly Rule[]): Chain {
  const base = hook === undefined ? undefined : toBase(type, hook);
  return { name, rules, ...(base === undefined ? {} : { base }) };
}

function toBase(type: string | undefined, hook: NonNullable<ObservedChain['hook']>): BaseChain | undefined {
  const name = nameOf(HOOK_NUMBERS, hook.number);
  if (name === undefined || (type !== 'filter' && type !== 'nat')) return undefined;
  return { type, hook: name, priority: hook.priority ?? 0 };
}

import type { Family } from '../../core/ip.ts';
import type { Snapshot } from '../../core/service/snapshot.ts';
import type { Chain, Jump, ListChain, Table } from './fragment.ts';
import { planServicePort } from './service-port.ts';
import { planSkeleton, type KernelSettings } from './skeleton.ts';

/** Everything of ours that one family's tables shall hold. Chains are keyed by `chainKey`. */
export interface Ruleset {
  readonly chains: ReadonlyMap<string, Chain>;
  readonly lists: ReadonlyMap<string, WantedList>;
  readonly jumps: readonly Jump[];
}

export interface WantedList extends ListChain {
  readonly entries: ReadonlySet<string>;
}

export function chainKey(table: Table, name: string): string {
  return `${table} ${name}`;
}

/** For a family that is not in use: nothing. */
export const NO_RULESET: Ruleset = { chains: new Map(), lists: new Map(), jumps: [] };

/** The kernel's default. */
const STRICT: KernelSettings = { isTcpLiberal: false };

export function planRuleset(snapshot: Snapshot, family: Family, kernel: KernelSettings = STRICT): Ruleset {
  const skeleton = planSkeleton(snapshot.options, family, kernel);
  const chains = new Map(skeleton.chains.map((chain) => [chainKey(chain.table, chain.name), chain]));
  const entries = new Map<string, Set<string>>();
  for (const list of skeleton.lists) entries.set(chainKey(list.table, list.name), new Set());
  for (const servicePort of snapshot.servicePorts.values()) {
    if (servicePort.family !== family) continue;
    const fragment = planServicePort(servicePort, snapshot.options);
    for (const chain of fragment.chains) chains.set(chainKey(chain.table, chain.name), chain);
    for (const entry of fragment.entries) entries.get(chainKey(entry.table, entry.list))?.add(entry.rule);
  }
  const lists = skeleton.lists.map((list): [string, WantedList] => {
    const key = chainKey(list.table, list.name);
    return [key, { ...list, entries: entries.get(key) ?? new Set() }];
  });
  return { chains, lists: new Map(lists), jumps: skeleton.jumps };
}

import type { SetName } from './set-name.ts';
import type { Family } from '../../core/ip.ts';
import type { DataplaneOptions, ServicePort, ServicePortChange } from '../../core/service/snapshot.ts';
import { addRules, sameElement } from './diff.ts';
import { TABLE_NAME } from './layout.ts';
import type { Element, Operation, SetElement } from './objects.ts';
import type { Policy } from './policy.ts';
import { contextFor, planPolicies, sharedKey } from './ruleset.ts';
import { serviceElements } from './service.ts';
import type { ServiceElements } from './service.ts';

/** What is known to be in one family's table beside the elements that ServicePorts own alone. */
export interface AppliedTable {
  readonly chains: ReadonlySet<string>;
  readonly sharedCounts: ReadonlyMap<string, number>;
}

export interface TableUpdate {
  readonly operations: readonly Operation[];
  /** Chains and counts that differ from those applied before, once `operations` are in. */
  readonly addedChains: readonly string[];
  readonly sharedCounts: ReadonlyMap<string, number>;
  /** Two ServicePorts want the same frontend: the caller has to look at all of them. */
  readonly hasConflicts: boolean;
}

/** The operations that `changes` ask for, in one family. Costs what changed, whatever the size of the table. */
export function planUpdate(
  family: Family,
  options: DataplaneOptions,
  changes: readonly ServicePortChange[],
  applied: AppliedTable,
): TableUpdate {
  const context = contextFor(family, options);
  const table = { family: context.layout.table, name: TABLE_NAME };
  const ledger = new Ledger(applied.sharedCounts);
  const policies: Policy[] = [];
  for (const { before, after } of changes) {
    if (before?.family === family) ledger.remove(serviceElements(before));
    if (after?.family !== family) continue;
    const wanted = addElements(ledger, after);
    policies.push(...wanted.policies);
  }
  const { chains, elements } = planPolicies(policies, applied.chains, context);
  for (const element of elements) ledger.add(element);
  const { removed, added } = ledger.net();
  const elementOperations = (kind: 'addElements' | 'deleteElements', bySet: ReadonlyMap<SetName, Element[]>) =>
    [...bySet].map(([set, list]): Operation => ({ kind, table, set: context.layout.sets[set], elements: list }));
  return {
    operations: [
      ...chains.map(({ name }): Operation => ({ kind: 'addChain', table, chain: { name } })),
      ...chains.flatMap((chain) => addRules(table, chain)),
      ...elementOperations('deleteElements', removed),
      ...elementOperations('addElements', added),
    ],
    addedChains: chains.map(({ name }) => name),
    sharedCounts: ledger.sharedCounts,
    hasConflicts: ledger.hasConflicts,
  };
}

function addElements(ledger: Ledger, port: ServicePort): ServiceElements {
  const wanted = serviceElements(port);
  for (const element of wanted.elements) ledger.add(element);
  for (const element of wanted.shared) ledger.share(element, 1);
  return wanted;
}

interface Entry {
  readonly set: SetName;
  before?: Element;
  after?: Element;
}

/** Adds up what many ServicePorts give up and ask for, so that an element that only changes hands is left alone. */
class Ledger {
  readonly #entries = new Map<string, Entry>();
  readonly #counts: ReadonlyMap<string, number>;
  readonly sharedCounts = new Map<string, number>();
  hasConflicts = false;

  constructor(counts: ReadonlyMap<string, number>) {
    this.#counts = counts;
  }

  #entry(key: string, set: SetName): Entry {
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const created: Entry = { set };
    this.#entries.set(key, created);
    return created;
  }

  remove({ elements, shared }: ServiceElements): void {
    for (const element of elements) this.#entry(sharedKey(element), element.set).before = element.element;
    for (const element of shared) this.share(element, -1);
  }

  add({ set, element }: SetElement): void {
    const entry = this.#entry(sharedKey({ set, element }), set);
    this.hasConflicts ||= entry.after !== undefined;
    entry.after = element;
  }

  share(shared: SetElement, change: 1 | -1): void {
    const key = sharedKey(shared);
    const count = (this.sharedCounts.get(key) ?? this.#counts.get(key) ?? 0) + change;
    this.sharedCounts.set(key, count);
    const entry = this.#entry(key, shared.set);
    if ((this.#counts.get(key) ?? 0) > 0) entry.before = shared.element;
    if (count > 0) entry.after = shared.element;
    else delete entry.after;
  }

  net(): { readonly removed: Map<SetName, Element[]>; readonly added: Map<SetName, Element[]> } {
    const removed = new Map<SetName, Element[]>();
    const added = new Map<SetName, Element[]>();
    for (const { set, before, after } of this.#entries.values()) {
      if (before !== undefined && after !== undefined && sameElement(before, after)) continue;
      if (before !== undefined) append(removed, set, before);
      if (after !== undefined) append(added, set, after);
    }
    return { removed, added };
  }
}

function append(lists: Map<SetName, Element[]>, set: SetName, element: Element): void {
  const list = lists.get(set);
  if (list === undefined) lists.set(set, [element]);
  else list.push(element);
}

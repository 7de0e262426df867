import { bytesKey } from './bytes.ts';
import type { Chain, Element, Operation, SetDefinition, TableDefinition, TableName } from './objects.ts';

/** What the kernel was found to hold in one table. */
export interface ObservedTable {
  readonly chains: readonly Chain[];
  readonly sets: readonly SetDefinition[];
  readonly elements: ReadonlyMap<string, readonly Element[]>;
}

export interface TableDifference {
  /** One transaction, in an order the kernel accepts. */
  readonly operations: readonly Operation[];
  /**
   * Chains and sets that nothing refers to any more once `operations` are in. A transaction of its own: kernels before
   * 6.2 may still count the references of elements removed in the same one (EBUSY).
   */
  readonly leftovers: readonly Operation[];
}

interface Wanted {
  readonly definition: TableDefinition;
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, Element>>;
}

/** The steps from `observed` to `wanted`; none when they are equal. Absent means that there is no such table. */
export function diffTable(wanted: Wanted, observed: ObservedTable | undefined): TableDifference {
  const table: TableName = { family: wanted.definition.family, name: wanted.definition.name };
  if (observed === undefined) return { operations: createTable(table, wanted, EMPTY), leftovers: [] };
  if (!isCompatible(wanted.definition, observed)) {
    // Sets and hooks cannot be changed in place. Within one transaction no packet sees the table missing.
    return { operations: [{ kind: 'deleteTable', table }, ...createTable(table, wanted, EMPTY)], leftovers: [] };
  }
  const difference = createTable(table, wanted, observed).slice(1);
  return { operations: difference, leftovers: removeLeftovers(table, wanted.definition, observed) };
}

const EMPTY: ObservedTable = { chains: [], sets: [], elements: new Map() };

function isCompatible(wanted: TableDefinition, observed: ObservedTable): boolean {
  const sets = new Map(observed.sets.map((set) => [set.name, set]));
  const chains = new Map(observed.chains.map((chain) => [chain.name, chain]));
  return (
    wanted.sets.every((set) => !sets.has(set.name) || fingerprint(sets.get(set.name)) === fingerprint(set)) &&
    wanted.chains.every(
      ({ name, base }) => !chains.has(name) || fingerprint(chains.get(name)?.base) === fingerprint(base),
    ) &&
    observed.chains.every(({ name, base }) => base === undefined || wanted.chains.some((chain) => chain.name === name))
  );
}

/** Equal for equal values, whatever the order of their fields; absent and undefined fields are the same. */
export function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown): unknown => {
    if (item instanceof Uint8Array) return `0x${Buffer.from(item).toString('hex')}`;
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function createTable(table: TableName, wanted: Wanted, observed: ObservedTable): Operation[] {
  const { definition } = wanted;
  const sets = new Set(observed.sets.map(({ name }) => name));
  const chains = new Map(observed.chains.map((chain) => [chain.name, chain]));
  const changed = definition.chains.filter(
    (chain) => fingerprint(chains.get(chain.name)?.rules) !== fingerprint(chain.rules),
  );
  const elements = definition.sets.map((set) => diffElements(wanted.elements.get(set.name), set, observed));
  return [
    { kind: 'addTable', table },
    ...definition.sets.filter(({ name }) => !sets.has(name)).map((set): Operation => ({ kind: 'addSet', table, set })),
    ...definition.chains
      .filter(({ name }) => !chains.has(name))
      .map(({ name, base }): Operation => ({ kind: 'addChain', table, chain: { name, base } })),
    ...changed.filter(({ name }) => (chains.get(name)?.rules.length ?? 0) > 0).map((chain) => flush(table, chain)),
    ...changed.flatMap((chain) => addRules(table, chain)),
    ...elements.flatMap(({ set, removed }) => elementOperations('deleteElements', table, set, removed)),
    ...elements.flatMap(({ set, added }) => elementOperations('addElements', table, set, added)),
  ];
}

function flush(table: TableName, { name, base }: Chain): Operation {
  return { kind: 'flushChain', table, chain: { name, base } };
}

export function addRules(table: TableName, { name, rules }: Chain): Operation[] {
  return rules.map((rule): Operation => ({ kind: 'addRule', table, chain: name, rule }));
}

function elementOperations(
  kind: 'addElements' | 'deleteElements',
  table: TableName,
  set: SetDefinition,
  elements: readonly Element[],
): Operation[] {
  return elements.length === 0 ? [] : [{ kind, table, set, elements }];
}

interface ElementDifference {
  readonly set: SetDefinition;
  readonly added: readonly Element[];
  readonly removed: readonly Element[];
}

function diffElements(
  wanted: ReadonlyMap<string, Element> | undefined,
  set: SetDefinition,
  observed: ObservedTable,
): ElementDifference {
  if (set.isDynamic === true) return { set, added: [], removed: [] };
  const missing = new Map(wanted);
  const removed: Element[] = [];
  for (const element of observed.elements.get(set.name) ?? []) {
    const key = bytesKey(element.key);
    const mine = missing.get(key);
    if (mine !== undefined && sameElement(mine, element)) missing.delete(key);
    else removed.push(element);
  }
  return { set, added: [...missing.values()], removed };
}

export function sameElement(a: Element, b: Element): boolean {
  return sameBytes(a.key, b.key) && sameData(a.keyEnd, b.keyEnd) && sameData(a.data, b.data);
}

function sameData(a: Element['data'], b: Element['data']): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return sameBytes(a, b);
  return fingerprint(a) === fingerprint(b);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function removeLeftovers(table: TableName, wanted: TableDefinition, observed: ObservedTable): Operation[] {
  const chains = new Set(wanted.chains.map(({ name }) => name));
  const sets = new Set(wanted.sets.map(({ name }) => name));
  const unused = observed.chains.filter(({ name }) => !chains.has(name));
  return [
    ...unused.filter(({ rules }) => rules.length > 0).map((chain) => flush(table, chain)),
    ...unused.map(({ name, base }): Operation => ({ kind: 'deleteChain', table, chain: { name, base } })),
    ...observed.sets.filter(({ name }) => !sets.has(name)).map((set): Operation => ({ kind: 'deleteSet', table, set })),
  ];
}

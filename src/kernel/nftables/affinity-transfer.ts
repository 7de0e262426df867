import { limitAffinity, type AffinityEntry, type AffinityMemory } from '../../core/service/affinity.ts';
import { FAMILIES, type Family } from '../../core/ip.ts';
import type { Snapshot } from '../../core/service/snapshot.ts';
import { affinityEntryElements, readAffinity } from '../../plan/nftables/affinity-memory.ts';
import { bytesKey } from '../../plan/nftables/bytes.ts';
import { fingerprint } from '../../plan/nftables/diff.ts';
import { LAYOUTS, TABLE_NAME } from '../../plan/nftables/layout.ts';
import type { Element, Operation, TableName } from '../../plan/nftables/objects.ts';
import type { AffinityImport } from '../dataplane.ts';
import { KernelError } from '../error.ts';
import type { NftablesClient } from './client.ts';
import { parseSet } from './set-parts.ts';

/** Packets may add an element between our look and our write; each try looks anew. */
const ATTEMPTS = 10;
const ELEMENTS_PER_TRANSACTION = 10_000;

function tableOf(family: Family): TableName {
  return { family: LAYOUTS[family].table, name: TABLE_NAME };
}

/** What the `affinity` maps hold. Throws KernelError. */
export async function exportAffinity(client: NftablesClient, snapshot: Snapshot): Promise<AffinityMemory> {
  const memories: AffinityMemory[] = [];
  for (const family of snapshot.options.families) {
    const elements = await client.listElements(tableOf(family), LAYOUTS[family].sets.affinity.name);
    memories.push(readAffinity(family, elements, snapshot));
  }
  const { entries, leftOut } = limitAffinity(memories.flatMap((memory) => memory.entries));
  return { entries, leftOut: memories.reduce((sum, memory) => sum + memory.leftOut, leftOut) };
}

/**
 * Adds to the `affinity` maps what they do not know. Where there is no table yet it makes one with nothing but the map:
 * the `sync` that follows completes it, and its first packet finds everybody remembered. Throws KernelError.
 */
export async function importAffinity(
  client: NftablesClient,
  snapshot: Snapshot,
  entries: readonly AffinityEntry[],
): Promise<AffinityImport> {
  let taken = 0;
  for (const family of snapshot.options.families) {
    const elements = affinityEntryElements(family, entries, snapshot);
    if (elements.length === 0 || !(await ensureMap(client, family))) continue;
    for (let at = 0; at < elements.length; at += ELEMENTS_PER_TRANSACTION) {
      const some = elements.slice(at, at + ELEMENTS_PER_TRANSACTION);
      await addMissing(client, family, some);
      taken += some.length;
    }
  }
  return { taken, leftOut: entries.length - taken };
}

/** False where another version's map is in the way; `sync` replaces it, and forgets what it held. */
async function ensureMap(client: NftablesClient, family: Family): Promise<boolean> {
  const table = tableOf(family);
  const set = LAYOUTS[family].sets.affinity;
  const tables = await client.listTables();
  if (!tables.some((one) => one.family === table.family && one.name === table.name)) {
    await client.apply([
      { kind: 'addTable', table },
      { kind: 'addSet', table, set },
    ]);
    return true;
  }
  return hasMap(client, family);
}

async function hasMap(client: NftablesClient, family: Family): Promise<boolean> {
  const set = LAYOUTS[family].sets.affinity;
  const found = (await client.listSets(tableOf(family))).map(parseSet).find(({ name }) => name === set.name);
  return fingerprint(found) === fingerprint(set);
}

async function addMissing(client: NftablesClient, family: Family, elements: readonly Element[]): Promise<void> {
  const table = tableOf(family);
  const set = LAYOUTS[family].sets.affinity;
  for (let attempt = 1; ; attempt += 1) {
    const known = new Set((await client.listElements(table, set.name)).map(({ key }) => bytesKey(key)));
    const missing = elements.filter(({ key }) => !known.has(bytesKey(key)));
    const operations: Operation[] =
      missing.length === 0 ? [] : [{ kind: 'addElements', table, set, elements: missing }];
    try {
      await client.apply(operations);
      return;
    } catch (error) {
      const isRace = error instanceof KernelError && error.errno === 'EEXIST';
      if (!isRace || attempt === ATTEMPTS) throw error;
    }
  }
}

/** What puts back, in the same transaction, the clients that tables remember which `operations` replace. */
export async function keepAffinity(client: NftablesClient, operations: readonly Operation[]): Promise<Operation[]> {
  const kept: Operation[] = [];
  for (const family of FAMILIES) {
    const table = tableOf(family);
    const has = (kind: 'addTable' | 'deleteTable'): boolean =>
      operations.some((operation) => operation.kind === kind && operation.table.family === table.family);
    if (!has('deleteTable') || !has('addTable') || !(await hasMap(client, family))) continue;
    const set = LAYOUTS[family].sets.affinity;
    // While packets add to it the kernel may list an element twice.
    const listed = await client.listElements(table, set.name);
    const elements = [...new Map(listed.map((element) => [bytesKey(element.key), element])).values()];
    if (elements.length > 0) kept.push({ kind: 'addElements', table, set, elements });
  }
  return kept;
}

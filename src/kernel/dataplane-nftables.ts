import { FAMILIES } from '../core/ip.ts';
import type { Family } from '../core/ip.ts';
import type { AffinityEntry, AffinityMemory } from '../core/service/affinity.ts';
import type { ServicePortChange, Snapshot } from '../core/service/snapshot.ts';
import { describeDifferences } from '../plan/nftables/describe.ts';
import { diffTable, fingerprint } from '../plan/nftables/diff.ts';
import type { ObservedTable, TableDifference } from '../plan/nftables/diff.ts';
import { LAYOUTS, TABLE_NAME } from '../plan/nftables/layout.ts';
import type { Operation, TableName } from '../plan/nftables/objects.ts';
import { planTable } from '../plan/nftables/ruleset.ts';
import type { WantedTable } from '../plan/nftables/ruleset.ts';
import { planUpdate } from '../plan/nftables/update.ts';
import type { AffinityImport, Dataplane, Difference, SyncReport } from './dataplane.ts';
import { isNotFound, KernelError } from './error.ts';
import { exportAffinity, importAffinity, keepAffinity } from './nftables/affinity-transfer.ts';
import { appliedState } from './nftables/applied-state.ts';
import type { AppliedState } from './nftables/applied-state.ts';
import { NftablesClient } from './nftables/client.ts';
import { observeTable } from './nftables/observe.ts';
import { countOperations } from './nftables/operation-count.ts';

/** Reads start over when somebody commits to nftables meanwhile, ours or not. */
const READ_ATTEMPTS = 10;

export interface NftablesDataplaneOptions {
  /** Path of the network namespace to work in; default the process's own. */
  readonly netns?: string;
}

/** The Service data plane as tables `ip switchyard` and `ip6 switchyard`. Opens a netlink socket; `close` it. */
export function createNftablesDataplane(options: NftablesDataplaneOptions = {}): Dataplane {
  return new NftablesDataplane(new NftablesClient(options.netns));
}

class NftablesDataplane implements Dataplane {
  readonly mode = 'nftables';
  readonly #client: NftablesClient;
  #applied: AppliedState | undefined;

  constructor(client: NftablesClient) {
    this.#client = client;
  }

  async sync(snapshot: Snapshot): Promise<SyncReport> {
    this.#applied = undefined;
    const wanted = planTables(snapshot);
    const { operations, leftovers } = await this.#retrying(async () => {
      const { generation, tables } = await this.#observe();
      const differences = FAMILIES.map((family) => diffFamily(family, wanted.get(family), tables.get(family)));
      const difference = {
        operations: differences.flatMap((some) => some.operations),
        leftovers: differences.flatMap((some) => some.leftovers),
      };
      const kept = await keepAffinity(this.#client, difference.operations);
      await this.#client.apply([...difference.operations, ...kept], generation);
      return difference;
    });
    const removedLeftovers = await this.#removeLeftovers(leftovers);
    this.#applied = appliedState(snapshot.options, wanted);
    const hasLeftovers = removedLeftovers.length < leftovers.length;
    return { ...countOperations([...operations, ...removedLeftovers]), ...(hasLeftovers ? { hasLeftovers } : {}) };
  }

  async update(snapshot: Snapshot, changes: readonly ServicePortChange[]): Promise<SyncReport> {
    const applied = this.#applied;
    if (applied === undefined || applied.hasConflicts || applied.options !== fingerprint(snapshot.options)) {
      return this.sync(snapshot);
    }
    const updates = [...applied.tables].map(([family, table]) => ({
      table,
      update: planUpdate(family, snapshot.options, changes, table),
    }));
    if (updates.some(({ update }) => update.hasConflicts)) return this.sync(snapshot);
    const operations = updates.flatMap(({ update }) => update.operations);
    this.#applied = undefined;
    await this.#client.apply(operations);
    for (const { table, update } of updates) {
      for (const chain of update.addedChains) table.chains.add(chain);
      for (const [key, count] of update.sharedCounts) {
        if (count > 0) table.sharedCounts.set(key, count);
        else table.sharedCounts.delete(key);
      }
    }
    this.#applied = applied;
    return countOperations(operations);
  }

  async verify(snapshot: Snapshot): Promise<readonly Difference[]> {
    const wanted = planTables(snapshot);
    const { tables } = await this.#retrying(() => this.#observe());
    return FAMILIES.flatMap((family) => {
      const isMissing = wanted.has(family) && !tables.has(family);
      const difference = diffFamily(family, wanted.get(family), tables.get(family));
      const kept = this.#applied?.tables.get(family)?.chains ?? new Set<string>();
      return describeDifferences(LAYOUTS[family], isMissing ? 'missing' : difference, kept);
    });
  }

  exportAffinity(snapshot: Snapshot): Promise<AffinityMemory> {
    return exportAffinity(this.#client, snapshot);
  }

  importAffinity(snapshot: Snapshot, entries: readonly AffinityEntry[]): Promise<AffinityImport> {
    return importAffinity(this.#client, snapshot, entries);
  }

  async isPresent(): Promise<boolean> {
    return (await this.#ownTables()).length > 0;
  }

  async remove(): Promise<void> {
    this.#applied = undefined;
    try {
      const tables = await this.#ownTables();
      await this.#client.apply(tables.map((table): Operation => ({ kind: 'deleteTable', table })));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  close(): void {
    this.#client.close();
  }

  async #ownTables(): Promise<TableName[]> {
    return (await this.#client.listTables()).filter(({ name }) => name === TABLE_NAME);
  }

  /** Both tables as they were at one instant. Throws ERESTART when anybody committed meanwhile. */
  async #observe(): Promise<{ readonly generation: number; readonly tables: Map<Family, ObservedTable> }> {
    const generation = await this.#client.generation();
    const present = new Set((await this.#ownTables()).map(({ family }) => family));
    const tables = new Map<Family, ObservedTable>();
    for (const family of FAMILIES) {
      const table = { family: LAYOUTS[family].table, name: TABLE_NAME };
      if (present.has(table.family)) tables.set(family, await observeTable(this.#client, table));
    }
    if ((await this.#client.generation()) === generation) return { generation, tables };
    throw new KernelError({ operation: 'read', object: 'the ruleset', errno: 'ERESTART', retryable: true });
  }

  /** Repeats `work` while others commit in between. A table that vanishes while it is read counts as that, too. */
  async #retrying<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        const isRace = error instanceof KernelError && (error.errno === 'ERESTART' || error.errno === 'ENOENT');
        if (!isRace || attempt === READ_ATTEMPTS) throw error;
      }
    }
  }

  /** What nothing refers to does no harm: when the kernel is not ready to let go of it, the next `sync` tries again. */
  async #removeLeftovers(operations: readonly Operation[]): Promise<readonly Operation[]> {
    try {
      await this.#client.apply(operations);
      return operations;
    } catch (error) {
      if (error instanceof KernelError && error.errno === 'EBUSY') return [];
      throw error;
    }
  }
}

function planTables(snapshot: Snapshot): Map<Family, WantedTable> {
  return new Map(snapshot.options.families.map((family) => [family, planTable(family, snapshot)]));
}

function diffFamily(
  family: Family,
  wanted: WantedTable | undefined,
  observed: ObservedTable | undefined,
): TableDifference {
  if (wanted !== undefined) return diffTable(wanted, observed);
  const table = { family: LAYOUTS[family].table, name: TABLE_NAME };
  return { operations: observed === undefined ? [] : [{ kind: 'deleteTable', table }], leftovers: [] };
}

import { FAMILIES, type Family } from '../core/ip.ts';
import type { ServicePort, ServicePortKey } from '../core/service/snapshot.ts';
import { bytesKey } from '../plan/nftables/bytes.ts';
import {
  COUNTER_SETS,
  COUNTERS_NAME,
  planCounters,
  type CounterSet,
  type CounterTable,
} from '../plan/nftables/counters.ts';
import { diffTable } from '../plan/nftables/diff.ts';
import type { Operation, TableName } from '../plan/nftables/objects.ts';
import { LAYOUTS } from '../plan/nftables/layout.ts';
import { isNotFound } from './error.ts';
import { NftablesClient } from './nftables/client.ts';
import { observeTable } from './nftables/observe.ts';

/** What has come for one ServicePort since it is counted. */
export interface Counted {
  readonly connections: number;
  /** From clients, the first of each connection included. */
  readonly packets: number;
  readonly bytes: number;
}

export interface CountersOptions {
  /** Path of the network namespace to work in; default the process's own. */
  readonly netns?: string;
}

const NOTHING: Counted = { connections: 0, packets: 0, bytes: 0 };

/**
 * Counts what comes for some ServicePorts, in tables of their own that no mode knows of. Whoever stays counted goes on from
 * where it was, over changes, switches and restarts. All methods throw `KernelError`.
 */
export class Counters {
  readonly #netns: string | undefined;
  #tables: ReadonlyMap<Family, CounterTable> = new Map();

  constructor({ netns }: CountersOptions = {}) {
    this.#netns = netns;
  }

  /** From now on these are counted and no others; with none there is no table. */
  async count(ports: readonly ServicePort[]): Promise<void> {
    const families = FAMILIES.filter((family) => ports.some((port) => port.family === family));
    const wanted = new Map(families.map((family) => [family, planCounters(family, ports)]));
    await this.#withClient(async (client) => {
      const present = await ownTables(client);
      const operations: Operation[] = [];
      for (const { definition, elements } of wanted.values()) {
        const isPresent = present.some(({ family }) => family === definition.family);
        const observed = isPresent ? await observeTable(client, definition) : undefined;
        operations.push(...diffTable({ definition, elements }, observed).operations);
      }
      const kept = families.map((family) => LAYOUTS[family].table);
      const gone = present.filter(({ family }) => !kept.includes(family));
      operations.push(...gone.map((table): Operation => ({ kind: 'deleteTable', table })));
      await client.apply(operations);
    });
    this.#tables = wanted;
  }

  async read(): Promise<ReadonlyMap<ServicePortKey, Counted>> {
    const sums = new Map<ServicePortKey, Counted>();
    await this.#withClient(async (client) => {
      for (const { definition, owners } of this.#tables.values()) {
        for (const set of COUNTER_SETS) {
          for (const { key, counter } of await client.listElements(definition, set)) {
            const owner = owners.get(set)?.get(bytesKey(key));
            if (owner === undefined || counter === undefined) continue;
            sums.set(owner, add(sums.get(owner) ?? NOTHING, set, counter));
          }
        }
      }
    });
    return sums;
  }

  /** Nothing there is success. */
  async remove(): Promise<void> {
    await this.#withClient(async (client) => {
      try {
        const tables = await ownTables(client);
        await client.apply(tables.map((table): Operation => ({ kind: 'deleteTable', table })));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
    this.#tables = new Map();
  }

  /** A socket for each call: few Services ask to be counted, and none must keep a module in the kernel. */
  async #withClient(work: (client: NftablesClient) => Promise<void>): Promise<void> {
    const client = new NftablesClient(this.#netns);
    try {
      await work(client);
    } finally {
      client.close();
    }
  }
}

async function ownTables(client: NftablesClient): Promise<TableName[]> {
  return (await client.listTables()).filter(({ name }) => name === COUNTERS_NAME);
}

function add(sum: Counted, set: CounterSet, { packets, bytes }: { packets: number; bytes: number }): Counted {
  if (set.endsWith('connections')) return { ...sum, connections: sum.connections + packets };
  return { ...sum, packets: sum.packets + packets, bytes: sum.bytes + bytes };
}

import { FAMILIES } from '../core/ip.ts';
import type { Family } from '../core/ip.ts';
import { ANCHOR_NAME, planAnchor } from '../plan/nftables/anchor.ts';
import { diffTable } from '../plan/nftables/diff.ts';
import type { Operation, TableName } from '../plan/nftables/objects.ts';
import { isNotFound } from './error.ts';
import { NftablesClient } from './nftables/client.ts';
import { observeTable } from './nftables/observe.ts';

export interface AnchorOptions {
  /** Path of the network namespace to work in; default the process's own. */
  readonly netns?: string;
}

/** Opens a netlink socket; `close` it. Nothing changes before `ensure`. */
export function createAnchor(options: AnchorOptions = {}): Anchor {
  return new Anchor(new NftablesClient(options.netns));
}

/**
 * Keeps the kernel translating established connections while one mode's rules replace another's: ensure it before the
 * first change, leave it there for good, remove it only with everything else. All methods throw `KernelError`.
 */
export class Anchor {
  readonly #client: NftablesClient;

  constructor(client: NftablesClient) {
    this.#client = client;
  }

  /** Makes the anchor complete for `families`; changes nothing where it is already. */
  async ensure(families: readonly Family[] = FAMILIES): Promise<void> {
    const present = new Set((await this.#tables()).map(({ family }) => family));
    const operations: Operation[] = [];
    for (const family of families) {
      const definition = planAnchor(family);
      const observed = present.has(definition.family) ? await observeTable(this.#client, definition) : undefined;
      operations.push(...diffTable({ definition, elements: new Map() }, observed).operations);
    }
    await this.#client.apply(operations);
  }

  /** Whether anything of it exists, complete or not. */
  async isPresent(): Promise<boolean> {
    return (await this.#tables()).length > 0;
  }

  /** Established connections that were translated stop now, unless somebody else's rules need connection tracking. */
  async remove(): Promise<void> {
    try {
      await this.#client.apply((await this.#tables()).map((table): Operation => ({ kind: 'deleteTable', table })));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  close(): void {
    this.#client.close();
  }

  async #tables(): Promise<TableName[]> {
    return (await this.#client.listTables()).filter(({ name }) => name === ANCHOR_NAME);
  }
}

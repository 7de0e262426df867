import type { OriginalsFile } from './settings/originals-file.ts';

/** The tables that iptables makes for itself and leaves behind. */
export interface TableStore {
  /** Undefined where asking would make the kernel load nftables. */
  list(): Promise<readonly string[] | undefined>;
  /** Removes those that are empty, except for `kept`. */
  removeEmpty(kept: readonly string[]): Promise<void>;
}

export interface NodeTablesParts {
  readonly store: TableStore;
  readonly originals: OriginalsFile;
  readonly bootID: string;
}

/** Remembers which tables of iptables were there before us, so that release leaves none that is empty because of us. */
export class NodeTables {
  readonly #parts: NodeTablesParts;
  #wasHere: boolean | undefined;

  constructor(parts: NodeTablesParts) {
    this.#parts = parts;
  }

  /** An earlier life of the agent, in this boot, has been here before the first `remember`. */
  get wasHere(): boolean {
    return this.#wasHere ?? false;
  }

  /** Once a boot, before the first rule. Throws when the disk or the kernel refuses. */
  async remember(): Promise<void> {
    const { store, originals, bootID } = this.#parts;
    const isKnown = originals.value.foundTables?.bootID === bootID;
    this.#wasHere ??= isKnown;
    if (isKnown) return;
    const names = (await store.list()) ?? [];
    originals.save({ ...originals.value, foundTables: { bootID, names: [...names] } });
  }

  /** Removes nothing where nobody remembers what was there. */
  async release(): Promise<void> {
    const { store, originals } = this.#parts;
    const { foundTables } = originals.value;
    if (foundTables !== null) await store.removeEmpty(foundTables.names);
  }
}

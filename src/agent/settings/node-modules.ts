import { withModules } from '../../core/node/originals.ts';
import type { ModuleNeed, ModuleState } from '../../core/node/module.ts';
import type { Log } from '../../support/log.ts';
import type { OriginalsFile } from './originals-file.ts';

/** What a kernel has of modules and can load. */
export interface ModuleStore {
  /** The names of those that are loaded; undefined where the kernel has no modules at all. */
  loaded(): ReadonlySet<string> | undefined;
  /** Those of `needs` that are in one of `states`, all looked up at one time. */
  inState(needs: readonly ModuleNeed[], ...states: readonly ModuleState[]): readonly ModuleNeed[];
  /** The module and all it depends on. */
  withDependencies(name: string): readonly string[];
  /** Throws with what to do about it. */
  load(names: readonly string[]): Promise<void>;
  /** Returns those that somebody else uses. */
  unload(names: readonly string[]): Promise<readonly string[]>;
}

export interface NodeModulesParts {
  readonly store: ModuleStore;
  readonly originals: OriginalsFile;
  readonly bootID: string;
  readonly log: Log;
}

/** Loads modules, and unloads those that were not there before us. Nothing is loaded before that is on disk. */
export class NodeModules {
  readonly #parts: NodeModulesParts;
  #needs: readonly ModuleNeed[] = [];
  #left: readonly string[] = [];

  constructor(parts: NodeModulesParts) {
    this.#parts = parts;
  }

  /** Those that are to be loaded, and are not built into the kernel. */
  get names(): readonly string[] {
    return this.#parts.store.inState(this.#needs, 'loaded').map(({ name }) => name);
  }

  /**
   * Once a boot, before anything else of ours looks at the kernel: remembers which modules are there. Looking makes the
   * kernel load some, so `look` does that now, and what comes with it is known to be ours. Throws when the disk refuses.
   */
  async remember(look: () => Promise<void>): Promise<void> {
    const { store, originals, bootID } = this.#parts;
    const loaded = store.loaded();
    if (loaded === undefined || originals.value.foundModules?.bootID === bootID) return;
    const found = new Set(loaded);
    originals.save({ ...originals.value, foundModules: { bootID, names: [...found].sort() } });
    await look();
    this.#claimAllBut(found);
  }

  /** These are needed, and were loaded before: `missing` tells which somebody has unloaded. */
  adopt(needs: readonly ModuleNeed[]): void {
    this.#needs = needs;
  }

  /** Loads what is not there. Throws what was refused; what was loaded stays, and is known to be ours. */
  async apply(needs: readonly ModuleNeed[]): Promise<void> {
    const { store, originals, log } = this.#parts;
    this.#needs = needs;
    this.#left = [];
    const found = new Set(originals.value.foundModules?.names ?? store.loaded() ?? []);
    if (store.loaded() === undefined) return;
    const files = store.inState(needs, 'loaded', 'loadable');
    const ours = files.flatMap(({ name }) => store.withDependencies(name)).filter((name) => !found.has(name));
    originals.save(withModules(originals.value, ours));
    const due = store.inState(needs, 'loadable', 'absent').map(({ name }) => name);
    if (due.length === 0) return;
    const before = new Set(store.loaded());
    try {
      await store.load(due);
      log.info({ modules: due }, 'loaded kernel modules');
    } finally {
      // Loading brings more than dependencies, such as a driver for a checksum; on disk only now, as nobody knows beforehand.
      this.#claimAllBut(before);
    }
  }

  #claimAllBut(before: ReadonlySet<string>): void {
    const { store, originals } = this.#parts;
    const appeared = [...(store.loaded() ?? [])].filter((name) => !before.has(name));
    originals.save(withModules(originals.value, appeared));
  }

  /** The modules that somebody has unloaded. */
  missing(): readonly string[] {
    return this.#parts.store.inState(this.#needs, 'loadable').map(({ name }) => name);
  }

  /** Loads them again. */
  async repair(): Promise<void> {
    await this.apply(this.#needs);
  }

  /** Unloads what we brought. Returns what stays because somebody else, or this process, uses it. */
  async release(): Promise<readonly string[]> {
    const { store, originals } = this.#parts;
    this.#needs = [];
    this.#left = await store.unload(originals.value.modules);
    return this.#left;
  }

  /** The same for what this process used itself until now. */
  async releaseRest(): Promise<void> {
    if (this.#left.length > 0) this.#left = await this.#parts.store.unload(this.#left);
  }
}

import { withModules } from '../core/originals.ts';
import type { ModuleNeed, ModuleState } from '../core/module.ts';
import type { Log } from '../support/log.ts';
import type { OriginalsFile } from './originals-file.ts';

/** What a kernel has of modules and can load. */
export interface ModuleStore {
  /** The names of those that are loaded; undefined where the kernel has no modules at all. */
  loaded(): ReadonlySet<string> | undefined;
  state(need: ModuleNeed): ModuleState;
  /** The module and all it depends on. */
  withDependencies(name: string): readonly string[];
  /** Throws with what to do about it. */
  load(name: string): Promise<void>;
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

  constructor(parts: NodeModulesParts) {
    this.#parts = parts;
  }

  /** Those that are to be loaded, and are not built into the kernel. */
  get names(): readonly string[] {
    const { store } = this.#parts;
    return this.#needs.filter((need) => store.state(need) === 'loaded').map(({ name }) => name);
  }

  /**
   * Remembers which modules were there when we first came in this boot; call it before anything else looks at the kernel,
   * which makes it load some. Throws when the disk refuses.
   */
  remember(): void {
    const { store, originals, bootID } = this.#parts;
    const loaded = store.loaded();
    if (loaded === undefined || originals.value.foundModules?.bootID === bootID) return;
    originals.save({ ...originals.value, foundModules: { bootID, names: [...loaded].sort() } });
  }

  /** Loads what is not there. Throws the first refusal; what was loaded until then stays, and is known to be ours. */
  async apply(needs: readonly ModuleNeed[]): Promise<void> {
    const { store, originals, log } = this.#parts;
    this.#needs = needs;
    const found = new Set(originals.value.foundModules?.names ?? store.loaded() ?? []);
    if (store.loaded() === undefined) return;
    const files = needs.filter((need) => ['loaded', 'loadable'].includes(store.state(need)));
    const ours = files.flatMap(({ name }) => store.withDependencies(name)).filter((name) => !found.has(name));
    originals.save(withModules(originals.value, ours));
    for (const need of needs) {
      if (!['loadable', 'absent'].includes(store.state(need))) continue;
      await store.load(need.name);
      log.info({ module: need.name }, 'loaded a kernel module');
    }
  }

  /** The modules that somebody has unloaded. */
  missing(): readonly string[] {
    const { store } = this.#parts;
    return this.#needs.filter((need) => store.state(need) === 'loadable').map(({ name }) => name);
  }

  /** Loads them again. */
  async repair(): Promise<void> {
    await this.apply(this.#needs);
  }

  /** Unloads what we brought. Returns what stays because somebody else uses it. */
  async release(): Promise<readonly string[]> {
    const { store, originals } = this.#parts;
    this.#needs = [];
    return store.unload(originals.value.modules);
  }
}

import type { SettingsFacts } from '../../core/node/settings-status.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import type { NodeModules } from './node-modules.ts';
import type { NodeSysctls } from './node-sysctls.ts';

/** How long after the last drift the node still says so. */
const REMEMBER_MS = 300_000;

export interface SettingsDriftParts {
  readonly sysctls: NodeSysctls;
  readonly modules: NodeModules;
  readonly clock: Clock;
  readonly log: Log;
  /** The status may say something else now. */
  readonly onChange: () => void;
  /** Each setting or module that somebody else changed. */
  readonly onDrift: (name: string) => void;
}

type Drift = NonNullable<SettingsFacts['drift']>;

/** Finds what somebody else changed of modules and settings since the last look, and sets it again unless told only to report. */
export class SettingsDrift {
  readonly #parts: SettingsDriftParts;
  /** Modules that somebody unloaded, and that have been told of. */
  #missing: readonly string[] = [];
  #newest: (Drift & { readonly atMs: number }) | null = null;

  constructor(parts: SettingsDriftParts) {
    this.#parts = parts;
  }

  /** The newest, while it is news. */
  get view(): Drift | null {
    const { sysctls, clock } = this.#parts;
    const isRecent = this.#newest !== null && clock.monotonicMs() - this.#newest.atMs < REMEMBER_MS;
    const isNews = isRecent || sysctls.overridden.length > 0 || this.#missing.length > 0;
    return isNews ? this.#newest : null;
  }

  /** One look. */
  async check(policy: 'Reapply' | 'Report'): Promise<void> {
    const { sysctls, clock, onChange, onDrift } = this.#parts;
    const unloaded = await this.#checkModules(policy);
    const drifted = sysctls.check(policy, clock.now());
    if (drifted.length > 0) {
      const what = policy === 'Reapply' ? 'it was set again' : 'it stays so, as spec.kernel.drift is Report';
      this.#say('SysctlOverridden', `somebody else changed ${drifted.join(', ')}; ${what}`);
    }
    const all = [...unloaded, ...drifted];
    for (const name of all) onDrift(name);
    if (all.length > 0) onChange();
  }

  /** Returns what was unloaded since the last look; loads it again, as often as it takes. */
  async #checkModules(policy: 'Reapply' | 'Report'): Promise<readonly string[]> {
    const { modules, log } = this.#parts;
    const missing = modules.missing();
    const unloaded = missing.filter((name) => !this.#missing.includes(name));
    if (unloaded.length > 0) this.#say('ModuleUnloaded', `somebody else unloaded ${unloaded.join(', ')}`);
    if (missing.length > 0 && policy === 'Reapply') {
      await modules.repair().catch((error: unknown) => {
        log.error({ problem: (error as Error).message }, 'cannot load a module again');
      });
    }
    this.#missing = missing.length > 0 ? modules.missing() : [];
    return unloaded;
  }

  #say(reason: Drift['reason'], message: string): void {
    this.#newest = { reason, message, atMs: this.#parts.clock.monotonicMs() };
  }
}

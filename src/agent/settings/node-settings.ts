import type { RenderedConfig } from '../../core/api/node-proxy-state.ts';
import { modulesFor, modulesLoadFile, NOT_AT_BOOT } from '../../core/node/module.ts';
import { sysctlFile } from '../../core/node/originals.ts';
import type { NodeFindings } from '../../core/node/preflight.ts';
import { desiredSysctls, restoredSysctls } from '../../core/node/sysctl-plan.ts';
import { ROUTE_LOCALNET } from '../../core/node/sysctl.ts';
import type { SettingsFacts } from '../../core/node/settings-status.ts';
import type { BootFiles } from './boot-files.ts';
import type { NodeTables } from '../node-tables.ts';
import type { OriginalsFile } from './originals-file.ts';
import { SettingsDrift, type SettingsDriftParts } from './settings-drift.ts';
import { SettingsError } from './settings-error.ts';

/** A change is noticed within five seconds. */
const POLL_MS = 2_500;

export interface NodeSettingsParts extends SettingsDriftParts {
  readonly tables: NodeTables;
  readonly originals: OriginalsFile;
  readonly bootFiles: BootFiles;
  readonly findings: () => NodeFindings;
  /** Looks at the kernel's rules in every way that we do. */
  readonly look: () => Promise<void>;
  readonly signal: AbortSignal;
}

export type SettingsView = Pick<SettingsFacts, 'sysctls' | 'held' | 'drift' | 'problems'>;

/** The modules and kernel settings of one node: brought to what a revision wants, watched, and given back on release. */
export class NodeSettings {
  readonly #parts: NodeSettingsParts;
  #config: RenderedConfig | null = null;
  #last: Promise<void> = Promise.resolve();
  readonly #drift: SettingsDrift;

  constructor(parts: NodeSettingsParts) {
    this.#parts = parts;
    this.#drift = new SettingsDrift(parts);
  }

  get view(): SettingsView {
    const { sysctls, originals, bootFiles } = this.#parts;
    return {
      sysctls: this.#config === null ? [] : sysctls.states,
      held: this.#config === null ? [] : sysctls.held,
      drift: this.#drift.view,
      problems: [originals.problem, bootFiles.problem].filter((problem) => problem !== null),
    };
  }

  /** What the node has, before anything else of ours looks at the kernel. Throws SettingsError. */
  async remember(): Promise<void> {
    const { modules, tables, look } = this.#parts;
    try {
      await modules.remember(look);
      await tables.remember();
    } catch (error) {
      throw settingsError('OriginalsNotSaved', error);
    }
  }

  /** Loads modules and applies settings. Throws SettingsError, with settings as they were. Again is the same. */
  async prepare(config: RenderedConfig): Promise<void> {
    await this.#exclusively(async () => {
      const { modules, sysctls, findings } = this.#parts;
      await this.remember();
      const node = findings();
      this.#config = config;
      const needs = modulesFor(config.mode, config, node.traits);
      try {
        await modules.apply(needs);
      } catch (error) {
        throw settingsError('ModuleLoadFailed', error);
      }
      const desired = desiredSysctls(config.mode, config, node);
      const failures = this.#savingOriginals(() => [
        ...sysctls.apply(desired),
        ...sysctls.restore(restoredSysctls(config)),
      ]);
      if (failures.length > 0) throw new SettingsError('SysctlFailed', failures.join('; '));
      this.#writeBootFiles();
    });
  }

  /**
   * What serves has been found: brings the node to its settings, whatever of them works. Where drift is only to be
   * reported, what somebody changed since an earlier life in this boot stays.
   */
  async resume(config: RenderedConfig): Promise<void> {
    if (config.kernel.drift === 'Reapply' || !this.#parts.tables.wasHere) return this.#applyWhatWorks(config);
    const { modules, sysctls, findings } = this.#parts;
    const node = findings();
    this.#config = config;
    modules.adopt(modulesFor(config.mode, config, node.traits));
    sysctls.adopt(desiredSysctls(config.mode, config, node));
  }

  async #applyWhatWorks(config: RenderedConfig): Promise<void> {
    try {
      await this.prepare(config);
    } catch (error) {
      this.#parts.log.error({ problem: (error as Error).message }, 'the node serves without some of its settings');
    }
  }

  /** Undoes `to`, and goes back to the settings of `from`; null for a node that we had not set. */
  async goBack(from: RenderedConfig | null, to: RenderedConfig): Promise<void> {
    const node = this.#parts.findings();
    const namesOf = (config: RenderedConfig) => desiredSysctls(config.mode, config, node).map(({ name }) => name);
    const kept = new Set(from === null ? [] : namesOf(from));
    const { sysctls, log } = this.#parts;
    const failures = sysctls.restore(namesOf(to).filter((name) => !kept.has(name)));
    if (failures.length > 0) log.error({ problem: failures.join('; ') }, 'cannot put settings back');
    if (from !== null) await this.#applyWhatWorks(from);
    else {
      this.#config = null;
      this.#writeBootFiles();
    }
  }

  /** Looks every few seconds whether somebody else changed what we set, until the signal aborts. */
  async watch(): Promise<void> {
    const { clock, signal } = this.#parts;
    while (!signal.aborted) {
      await clock.sleep(POLL_MS, signal);
      if (!signal.aborted) await this.#exclusively(() => this.check());
    }
  }

  /** One look. */
  async check(): Promise<void> {
    if (this.#config !== null) await this.#drift.check(this.#config.kernel.drift);
  }

  /**
   * Gives everything back: settings, files, modules. Call it when no rules of ours are left. Returns what could not be,
   * for people; what could is forgotten, and calling it again tries the rest.
   */
  async release(policy: 'Restore' | 'Keep'): Promise<readonly string[]> {
    let failures: readonly string[] = [];
    await this.#exclusively(async () => {
      const { sysctls, modules, tables, originals, bootFiles, log } = this.#parts;
      this.#config = null;
      bootFiles.remove();
      await tables.release();
      if (policy === 'Restore') {
        failures = sysctls.restore(Object.keys(originals.value.sysctls));
        const used = await modules.release();
        if (used.length > 0) log.info({ modules: used }, 'somebody else uses modules that we loaded; they stay');
      }
      if (failures.length === 0) originals.remove();
    });
    return failures;
  }

  /** At the end of the process that released: nothing of ours uses the kernel any more. */
  async finishRelease(): Promise<void> {
    await this.#parts.modules.releaseRest();
  }

  #writeBootFiles(): void {
    const { bootFiles, sysctls, modules } = this.#parts;
    const names = this.#config === null ? [] : modules.names.filter((name) => !NOT_AT_BOOT.has(name));
    const written = this.#config === null ? [] : sysctls.written(bootFiles.sysctlNames());
    const settings = written.filter(({ name }) => name !== ROUTE_LOCALNET);
    bootFiles.write({
      modules: names.length === 0 ? null : modulesLoadFile(names),
      sysctls: settings.length === 0 ? null : sysctlFile(settings),
    });
  }

  #savingOriginals<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw settingsError('OriginalsNotSaved', error);
    }
  }

  /** One after the other: the look every few seconds does not meet a change half way. */
  #exclusively(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

function settingsError(code: SettingsError['code'], error: unknown): SettingsError {
  if (error instanceof SettingsError) return error;
  const { message } = error as Error;
  const isDisk = code === 'OriginalsNotSaved' || (error as NodeJS.ErrnoException).syscall !== undefined;
  if (!isDisk) return new SettingsError(code, message);
  return new SettingsError(
    'OriginalsNotSaved',
    `nothing was changed, because what the node had before cannot be saved: ${message}; check --state-dir`,
  );
}

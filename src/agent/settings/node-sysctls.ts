import { withoutSysctls, withSysctls } from '../../core/node/originals.ts';
import {
  isAllowedSysctl,
  isRequired,
  isSatisfied,
  normalValue,
  type DesiredSysctl,
  type HeldSysctl,
  type SysctlState,
} from '../../core/node/sysctl.ts';
import type { Log } from '../../support/log.ts';
import type { OriginalsFile } from './originals-file.ts';

/** The kernel's settings, as one process sees them. */
export interface SysctlStore {
  /** Undefined where the kernel has no such setting now. */
  read(name: string): string | undefined;
  /** Throws with what to do about it. */
  write(name: string, value: string): void;
}

interface Drift {
  readonly count: number;
  readonly lastMs: number;
}

export interface NodeSysctlsParts {
  readonly store: SysctlStore;
  readonly originals: OriginalsFile;
  readonly log: Log;
}

/** Brings settings to what is wanted, and back to what they were. Nothing is written before its original is on disk. */
export class NodeSysctls {
  readonly #parts: NodeSysctlsParts;
  #desired: readonly DesiredSysctl[] = [];
  readonly #problems = new Map<string, string>();
  /** Those that somebody else set, and that are not to be, or cannot be, set again. */
  readonly #overridden = new Set<string>();
  readonly #drifts = new Map<string, Drift>();

  constructor(parts: NodeSysctlsParts) {
    this.#parts = parts;
  }

  get states(): readonly SysctlState[] {
    return this.#desired.map((wanted) => {
      const drift = this.#drifts.get(wanted.name);
      return {
        ...wanted,
        actual: this.#parts.store.read(wanted.name) ?? null,
        original: this.#parts.originals.value.sysctls[wanted.name] ?? null,
        problem: this.#problems.get(wanted.name) ?? null,
        drifts: drift?.count ?? 0,
        lastDriftMs: drift?.lastMs ?? null,
      };
    });
  }

  /** Those that are no longer wanted, but have been: they stay as they are until a release. */
  get held(): readonly HeldSysctl[] {
    const wanted = new Set(this.#desired.map(({ name }) => name));
    return Object.entries(this.#parts.originals.value.sysctls)
      .filter(([name]) => !wanted.has(name))
      .map(([name, original]) => ({ name, actual: this.#parts.store.read(name) ?? null, original }));
  }

  /** What somebody else set and what is still so. */
  get overridden(): readonly string[] {
    return [...this.#overridden];
  }

  /** What we have set, for the file that sets it at boot; also what is in it already, should the originals be lost. */
  written(inFile: ReadonlySet<string>): readonly { readonly name: string; readonly value: string }[] {
    const known = this.#parts.originals.value.sysctls;
    const isOurs = (name: string) => known[name] !== undefined || inFile.has(name);
    return this.#desired.filter(({ name }) => isOurs(name) && !this.#problems.has(name));
  }

  /**
   * Applies all of them, or none: when one that is required is refused, what was written goes back. Returns why; empty when
   * all that is required stands. One that is not required and refused is remembered as a problem.
   */
  apply(desired: readonly DesiredSysctl[]): readonly string[] {
    const { store, originals } = this.#parts;
    this.#desired = desired;
    this.#problems.clear();
    this.#overridden.clear();
    const due = desired.filter((wanted) => !this.#holds(wanted));
    const before = new Map(due.flatMap(({ name }) => entry(name, store.read(name))));
    originals.save(withSysctls(originals.value, before));
    const failures: string[] = [];
    const written: string[] = [];
    for (const wanted of due) {
      const problem = this.#set(wanted);
      if (problem === null) written.push(wanted.name);
      else if (isRequired(wanted)) failures.push(problem);
    }
    if (failures.length === 0) return [];
    for (const name of written) this.#putBack(name, before.get(name));
    return failures;
  }

  /** These are wanted, and were applied before: what is otherwise now was changed by somebody else, which `check` finds. */
  adopt(desired: readonly DesiredSysctl[]): void {
    const known = this.#parts.originals.value.sysctls;
    this.#desired = desired;
    for (const wanted of desired) {
      const wasNeverSet = known[wanted.name] === undefined && !this.#holds(wanted);
      if (wasNeverSet) this.#problems.set(wanted.name, 'it could not be set when the node was prepared');
    }
  }

  /** Notices what somebody else changed; sets it again unless told only to report. Returns the names. */
  check(mode: 'Reapply' | 'Report', nowMs: number): readonly string[] {
    const drifted = this.#desired.filter((wanted) => !this.#problems.has(wanted.name) && !this.#holds(wanted));
    for (const wanted of drifted) {
      const { name } = wanted;
      const actual = this.#parts.store.read(name) ?? 'gone';
      this.#drifts.set(name, { count: (this.#drifts.get(name)?.count ?? 0) + 1, lastMs: nowMs });
      const fields = { sysctl: name, actual, wanted: wanted.value };
      this.#parts.log.warn(fields, 'somebody else changed a setting');
      if (mode === 'Report') this.#problems.set(name, `somebody else set it to ${actual}`);
      else this.#rewrite(wanted, actual);
      if (this.#problems.has(name)) this.#overridden.add(name);
    }
    this.#forgetSolved();
    return drifted.map(({ name }) => name);
  }

  /** Puts these back to what they were before us and forgets that. Returns why some could not be. */
  restore(names: readonly string[]): readonly string[] {
    const { originals } = this.#parts;
    const failures = names.flatMap((name) => this.#putBack(name, originals.value.sysctls[name]) ?? []);
    if (failures.length === 0) originals.save(withoutSysctls(originals.value, names));
    this.#desired = this.#desired.filter(({ name }) => !names.includes(name));
    return failures;
  }

  #holds(wanted: DesiredSysctl): boolean {
    const actual = this.#parts.store.read(wanted.name);
    return actual !== undefined && isSatisfied(wanted, actual);
  }

  #rewrite(wanted: DesiredSysctl, actual: string): void {
    const { originals, log } = this.#parts;
    try {
      originals.save(withSysctls(originals.value, new Map([[wanted.name, actual]])));
      this.#set(wanted);
    } catch (error) {
      const problem = (error as Error).message;
      this.#problems.set(wanted.name, problem);
      log.error({ sysctl: wanted.name, problem }, 'cannot set a setting again');
    }
  }

  /** A problem that has gone by itself is one no more, so that the next drift counts. */
  #forgetSolved(): void {
    for (const wanted of this.#desired) {
      if (!this.#holds(wanted)) continue;
      this.#problems.delete(wanted.name);
      this.#overridden.delete(wanted.name);
    }
  }

  #set(wanted: DesiredSysctl): string | null {
    const problem = this.#tryToSet(wanted);
    if (problem === null) this.#problems.delete(wanted.name);
    else {
      this.#problems.set(wanted.name, problem);
      const fields = { sysctl: wanted.name, wanted: wanted.value, problem };
      if (isRequired(wanted)) this.#parts.log.error(fields, 'a setting cannot be applied');
      else this.#parts.log.info(fields, 'a setting cannot be applied here; the node goes on without it');
    }
    return problem;
  }

  #tryToSet(wanted: DesiredSysctl): string | null {
    const { name, value } = wanted;
    if (!isAllowedSysctl(name)) return `${name} is no setting that a Service proxy may change`;
    try {
      this.#parts.store.write(name, value);
    } catch (error) {
      return (error as Error).message;
    }
    const actual = this.#parts.store.read(name) ?? 'gone';
    if (isSatisfied(wanted, actual)) return null;
    return `${name} was set to ${value}, but the kernel made ${normalValue(actual)} of it`;
  }

  #putBack(name: string, value: string | undefined): string | null {
    const { store } = this.#parts;
    const actual = store.read(name);
    // Its module is gone, and its value with it.
    if (value === undefined || actual === undefined || normalValue(actual) === normalValue(value)) return null;
    try {
      store.write(name, value);
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  }
}

function entry(name: string, value: string | undefined): [string, string][] {
  return value === undefined ? [] : [[name, value]];
}

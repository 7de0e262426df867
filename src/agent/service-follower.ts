import type { ImplementedMode } from '../core/mode.ts';
import type { ServiceTable } from '../core/service-table.ts';
import type { ServicePortChange, Snapshot } from '../core/snapshot.ts';
import type { Dataplane } from '../kernel/dataplane.ts';
import { Backoff } from '../support/backoff.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import type { AgentMetrics } from './metrics.ts';
import { ProgrammedMode } from './programmed-mode.ts';

export interface FollowerParts {
  readonly table: ServiceTable;
  readonly createDataplane: (mode: ImplementedMode) => Dataplane;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AgentMetrics;
}

/** Keeps every mode that stands in the kernel at the newest state of the Services. One call at a time. */
export class ServiceFollower {
  readonly #parts: FollowerParts;
  readonly #programmed = new Map<ImplementedMode, ProgrammedMode>();
  readonly #retry = new Backoff({ firstMs: 200, maxMs: 30_000 });
  #snapshot: Snapshot | undefined;
  #isDirty = false;
  #retryAtMs: number | null = null;
  #lastSyncMs: number | null = null;
  #waitingSinceMs: number | null = null;
  #error: string | null = null;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** When the kernel last took all that was known, wall clock; null before the first time. */
  get lastSyncMs(): number | null {
    return this.#lastSyncMs;
  }

  /** Since when a change waits that the kernel has not taken; null when there is none. */
  get waitingSinceMs(): number | null {
    return this.#waitingSinceMs;
  }

  /** Why the kernel did not take the last state; null when it did. */
  get error(): string | null {
    return this.#error;
  }

  /** When a failed mode is to be tried again, monotonic; null when there is nothing to try. */
  get retryAtMs(): number | null {
    return this.#retryAtMs;
  }

  /** The state that was last handed to the kernel. */
  get snapshot(): Snapshot {
    this.#snapshot ??= this.#parts.table.take().snapshot;
    return this.#snapshot;
  }

  /** Something in the table changed. */
  notify(): void {
    this.#isDirty = true;
    this.#waitingSinceMs ??= this.#parts.clock.now();
  }

  isProgrammed(mode: ImplementedMode): boolean {
    return this.#programmed.has(mode);
  }

  /** From now on this mode follows the Services. */
  open(mode: ImplementedMode): ProgrammedMode {
    const open = this.#programmed.get(mode) ?? new ProgrammedMode(this.#parts.createDataplane(mode));
    this.#programmed.set(mode, open);
    return open;
  }

  /** From now on this mode does not follow; its rules are the caller's business. */
  drop(mode: ImplementedMode): void {
    this.#programmed.delete(mode);
  }

  close(): void {
    for (const { dataplane } of this.#programmed.values()) dataplane.close();
  }

  /** Brings the kernel up to date where it is not; false when there was nothing to do. A failure is kept and tried again. */
  async follow(): Promise<boolean> {
    const mayRetry = this.#retryAtMs === null || this.#parts.clock.monotonicMs() >= this.#retryAtMs;
    const isStale = [...this.#programmed.values()].some((mode) => mode.isStale);
    if (!this.#isDirty && !(isStale && mayRetry)) return false;
    this.#isDirty = false;
    const { snapshot, changes, problems } = this.#parts.table.take();
    this.#snapshot = snapshot;
    for (const problem of problems) this.#parts.log.warn({ ...problem }, 'a part of an object cannot be used');
    let error: string | null = null;
    for (const mode of this.#programmed.values()) {
      // A mode that failed is tried again after a pause, not with every change.
      if (mode.isStale && !mayRetry) error ??= this.#error;
      else error = (await this.#apply(mode, snapshot, changes)) ?? error;
    }
    this.#record(error, mayRetry);
    return true;
  }

  async #apply(
    mode: ProgrammedMode,
    snapshot: Snapshot,
    changes: readonly ServicePortChange[],
  ): Promise<string | null> {
    const { log, metrics } = this.#parts;
    const finish = metrics.startSync(mode.dataplane.mode);
    try {
      finish(await mode.follow(snapshot, changes));
      return null;
    } catch (error) {
      finish(null);
      const problem = (error as Error).message;
      log.error(
        { mode: mode.dataplane.mode, problem },
        'the kernel did not take the rules; they stay as they were until it does',
      );
      return problem;
    }
  }

  #record(error: string | null, didTry: boolean): void {
    const { clock } = this.#parts;
    this.#error = error;
    if (error !== null) {
      if (didTry) this.#retryAtMs = clock.monotonicMs() + this.#retry.nextMs();
      return;
    }
    this.#retry.reset();
    this.#retryAtMs = null;
    if (this.#programmed.size > 0) this.markSynced();
  }

  /** The kernel is proven to hold all that is known. */
  markSynced(): void {
    this.#lastSyncMs = this.#parts.clock.now();
    if (!this.#isDirty) this.#waitingSinceMs = null;
  }
}

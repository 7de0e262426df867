import type { NodeNetwork } from '../../core/service/dataplane-options.ts';
import type { Serving } from '../../core/node/mode-switch.ts';
import type { ImplementedMode } from '../../core/mode.ts';
import type { ServiceTable } from '../../core/service/service-table.ts';
import { concernsRules } from '../../core/service/service-port.ts';
import type { ServicePortChange, ServicePorts } from '../../core/service/snapshot.ts';
import type { Dataplane, PacketCounts, Difference } from '../../kernel/dataplane.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import type { AgentMetrics } from '../metrics/metrics.ts';
import type { FollowObserver } from './follow-observer.ts';
import { ProgrammedMode } from './programmed-mode.ts';
import { SyncRetries } from './sync-retries.ts';

export interface FollowerParts {
  readonly table: ServiceTable;
  readonly createDataplane: (mode: ImplementedMode) => Dataplane;
  /** The node's own addresses and CIDRs, as they are now. */
  readonly network: () => NodeNetwork;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AgentMetrics;
  /** Told of what is taken from the table and when the kernel has it. */
  readonly observers?: readonly FollowObserver[];
}

/** Keeps every mode that stands in the kernel at the newest state of the Services. One call at a time. */
export class ServiceFollower {
  readonly #parts: FollowerParts;
  readonly #programmed = new Map<ImplementedMode, ProgrammedMode>();
  readonly #retries: SyncRetries;
  #servicePorts: ServicePorts = new Map();
  #isDirty = false;
  #hasServices = false;
  #lastSyncMs: number | null = null;
  /** Since when changes wait to be taken from the table, and those that were taken to be in the kernel. */
  #queuedSinceMs: number | null = null;
  #takenSinceMs: number | null = null;
  #isFromCache = false;
  #mustCompare = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#retries = new SyncRetries(parts.clock);
  }

  /** When the kernel last took all that was known, wall clock; null before the first time. */
  get lastSyncMs(): number | null {
    return this.#lastSyncMs;
  }

  /** Since when a change waits that the kernel has not taken; null when there is none. */
  get waitingSinceMs(): number | null {
    return this.#takenSinceMs ?? this.#queuedSinceMs;
  }

  /** Why the kernel did not take the last state; null when it did. */
  get error(): string | null {
    return this.#retries.problem;
  }

  /** When a failed mode is to be tried again, monotonic; null when there is nothing to try. */
  get retryAtMs(): number | null {
    return this.#retries.dueMs;
  }

  /** The Services that were last handed to the kernel. */
  get servicePorts(): ServicePorts {
    return this.#servicePorts;
  }

  /** Something in the table changed. */
  notify(): void {
    this.#isDirty = true;
    this.#queuedSinceMs ??= this.#parts.clock.now();
    this.#parts.metrics.queued();
  }

  /** Whether the Services have been read once; a mode that is programmed before that would serve nothing. */
  get hasServices(): boolean {
    return this.#hasServices;
  }

  /** The node's own addresses or CIDRs changed. */
  refreshNetwork(): void {
    for (const mode of this.#programmed.values()) mode.refreshNetwork();
  }

  /** The modes whose rules the kernel holds. */
  guardedModes(): ImplementedMode[] {
    return [...this.#programmed].filter(([, { isGuarded }]) => isGuarded).map(([mode]) => mode);
  }

  /** The data planes that hold what they were told. */
  held(): readonly Dataplane[] {
    return [...this.#programmed.values()].filter(({ isStale }) => !isStale).map(({ dataplane }) => dataplane);
  }

  /** Somebody else changed this mode's rules. */
  markDrifted(mode: ImplementedMode): void {
    this.#programmed.get(mode)?.markStale();
  }

  /** What the kernel lacks or has beyond, in the modes that follow; nothing while it serves what an earlier life knew. */
  async inspect(): Promise<readonly Difference[]> {
    const found: Difference[] = [];
    if (this.#isFromCache || !this.#hasServices) return found;
    for (const mode of this.#programmed.values()) {
      if (mode.isJoined && !mode.isStale) found.push(...(await mode.verify(this.#servicePorts)));
    }
    return found;
  }

  /** What iptables mode drops and counts by itself; undefined where it does not stand. */
  countPackets(): Promise<PacketCounts> | undefined {
    return this.#programmed.get('iptables')?.dataplane.countPackets?.();
  }

  isProgrammed(mode: ImplementedMode): boolean {
    return this.#programmed.has(mode);
  }

  /** This mode serves: from now on it follows the Services, as this configuration says. */
  serve(serving: Serving): ProgrammedMode {
    return this.open(serving).join();
  }

  /** This mode is at the caller's hands, as this configuration says; it follows the Services once the caller made it whole. */
  open({ config }: Serving): ProgrammedMode {
    const { createDataplane } = this.#parts;
    const known = this.#programmed.get(config.mode);
    const open = known ?? new ProgrammedMode(createDataplane(config.mode), config, this.#parts);
    open.configure(config);
    this.#programmed.set(config.mode, open);
    return open;
  }

  /** From now on this mode does not follow; its rules are the caller's business. */
  drop(mode: ImplementedMode): void {
    this.#programmed.delete(mode);
    this.#retries.forget(mode);
  }

  /** Nothing follows any more; the rules are the caller's business. */
  dropAll(): void {
    this.close();
    for (const mode of [...this.#programmed.keys()]) this.drop(mode);
  }

  close(): void {
    for (const { dataplane } of this.#programmed.values()) dataplane.close();
  }

  /** The kernel holds Services of an earlier life of this agent, and nothing newer has been heard. */
  get isFromCache(): boolean {
    return this.#isFromCache;
  }

  /**
   * From now on, until `follow` is called, this mode follows Services that are not from the API server. Where its rules stand
   * in the kernel they are taken to be right until somebody changes them.
   */
  openCached(serving: Serving, servicePorts: ServicePorts, isStanding: boolean): void {
    this.#servicePorts = servicePorts;
    const mode = this.serve(serving);
    if (isStanding) mode.trust();
    this.#mustCompare = true;
  }

  /** Brings the kernel to the Services of `openCached` where it is not; false when there was nothing to do. */
  async followCached(): Promise<boolean> {
    const due = [...this.#programmed.values()].filter((mode) => mode.isStale && !this.#isWaiting(mode));
    for (const mode of due) await this.#apply(mode, []);
    if (due.length === 0) return false;
    if (this.error !== null) return true;
    this.#isFromCache = true;
    this.#lastSyncMs = this.#parts.clock.now();
    return true;
  }

  /** Brings the kernel up to date where it is not; false when there was nothing to do. A failure is kept and tried again. */
  async follow(): Promise<boolean> {
    // What the kernel holds is not what the table knows, so a difference to the table says nothing.
    if (this.#mustCompare) for (const mode of this.#programmed.values()) mode.markStale();
    this.#mustCompare = false;
    this.#isFromCache = false;
    const joined = [...this.#programmed.values()].filter((mode) => mode.isJoined);
    for (const mode of joined) if (!mode.isStale) this.#retries.forget(mode.dataplane.mode);
    // A mode that failed is tried again after a pause, not with every change.
    const ready = joined.filter((mode) => !mode.isStale || !this.#isWaiting(mode));
    const isWhole = ready.some((mode) => mode.isStale);
    if (!this.#isDirty && !isWhole) return false;
    const changes = this.#take();
    for (const mode of ready) await this.#apply(mode, changes);
    if (this.error === null && this.#programmed.size > 0) this.markSynced(isWhole);
    return true;
  }

  /** What changed in the rules since the last time; from here on the kernel is behind until it has taken it. */
  #take(): readonly ServicePortChange[] {
    const { table, clock, log } = this.#parts;
    this.#isDirty = false;
    this.#takenSinceMs ??= this.#queuedSinceMs ?? clock.now();
    this.#queuedSinceMs = null;
    const taken = table.take();
    this.#servicePorts = taken.snapshot.servicePorts;
    this.#hasServices = true;
    for (const problem of taken.problems) log.warn({ ...problem }, 'a part of an object cannot be used');
    this.#tell((observer) => observer.taken?.(taken));
    return taken.changes.filter(concernsRules);
  }

  #isWaiting(mode: ProgrammedMode): boolean {
    return this.#retries.isWaiting(mode.dataplane.mode);
  }

  /** A failure is kept until the mode is whole. */
  async #apply(mode: ProgrammedMode, changes: readonly ServicePortChange[]): Promise<void> {
    const name = mode.dataplane.mode;
    try {
      await mode.follow(this.#servicePorts, changes);
      this.#retries.forget(name);
    } catch (error) {
      const problem = (error as Error).message;
      this.#retries.failed(name, problem);
      this.#parts.log.error(
        { mode: name, problem },
        'the kernel did not take the rules; they stay as they were until it does',
      );
    }
  }

  /** The kernel is proven to hold all that is known; `isWhole` when that was compared, not followed from changes. */
  markSynced(isWhole: boolean): void {
    this.#lastSyncMs = this.#parts.clock.now();
    this.#takenSinceMs = null;
    this.#parts.metrics.synced();
    this.#tell((observer) => observer.programmed?.(this.#servicePorts, isWhole));
  }

  /** What goes along with the rules must not stop them. */
  #tell(say: (observer: FollowObserver) => void): void {
    for (const observer of this.#parts.observers ?? []) {
      try {
        say(observer);
      } catch (error) {
        this.#parts.log.error(
          { problem: (error as Error).stack },
          'a part of the agent failed; the rules are not affected',
        );
      }
    }
  }
}

import type { ServicePort, ServicePorts } from '../../core/service/snapshot.ts';
import { FlowReview, type FlowScope } from '../../core/service/conntrack.ts';
import { FAMILIES, type Family } from '../../core/ip.ts';
import type { Taken } from '../../core/service/service-table.ts';
import type { TrackedFlow } from '../../kernel/conntrack/tracked-flow.ts';
import { Backoff } from '../../support/backoff.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import type { FollowObserver } from './follow-observer.ts';

/** The kernel's table of tracked flows. */
export interface FlowTable {
  list(scope: FlowScope): Promise<readonly TrackedFlow[]>;
  /** Returns how many were there to delete. */
  delete(flows: readonly TrackedFlow[]): Promise<number>;
}

export interface ConntrackMetrics {
  /** One clean-up that succeeded. */
  cleaned(family: Family, seconds: number, deleted: number): void;
}

export interface ConntrackParts {
  readonly flows: FlowTable;
  /** The addresses on the node's interfaces now, canonical. */
  readonly localAddresses: () => readonly string[];
  /** What an earlier life served of the protocols that are looked at; asked once. */
  readonly former?: () => readonly ServicePort[];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ConntrackMetrics;
  readonly signal: AbortSignal;
}

/**
 * Deletes the tracked flows that a change has made stale, once every mode in the kernel has the change: a flow deleted
 * earlier could be translated by the old rules again. Runs beside the loop that writes rules and never delays it; what
 * changes meanwhile is looked at in another round. A clean-up that fails is tried again until it succeeds.
 */
export class ConntrackLoop implements FollowObserver {
  readonly #parts: ConntrackParts;
  readonly #retry = new Backoff({ firstMs: 500, maxMs: 30_000 });
  /** Changes that the kernel has not taken yet. */
  #taken = new FlowReview();
  /** Changes that the kernel has, to be looked at. */
  #due = new FlowReview();
  #servicePorts: ServicePorts = new Map();
  #isBusy = false;
  #knowsFormer = false;

  constructor(parts: ConntrackParts) {
    this.#parts = parts;
  }

  taken({ changes }: Taken): void {
    this.#taken.add(changes);
  }

  programmed(servicePorts: ServicePorts, isWhole: boolean): void {
    this.#servicePorts = servicePorts;
    if (isWhole) this.#taken.addAll();
    this.#addFormer();
    if (this.#taken.isEmpty) return;
    this.#due.merge(this.#taken);
    this.#taken = new FlowReview();
    if (!this.#isBusy) void this.#clean();
  }

  /** What went while no agent ran is in no change: its flows would go on to backends that nobody asks for. */
  #addFormer(): void {
    if (this.#knowsFormer) return;
    this.#knowsFormer = true;
    const former = this.#parts.former?.() ?? [];
    this.#taken.add(former.map((before) => ({ key: before.key, before, ...this.#now(before) })));
  }

  #now({ key }: ServicePort): { after?: ServicePort } {
    const after = this.#servicePorts.get(key);
    return after === undefined ? {} : { after };
  }

  async #clean(): Promise<void> {
    const { clock, log, signal } = this.#parts;
    this.#isBusy = true;
    while (!this.#due.isEmpty && !signal.aborted) {
      const review = this.#due;
      this.#due = new FlowReview();
      try {
        await this.#cleanOnce(review);
        this.#retry.reset();
      } catch (error) {
        this.#due.merge(review);
        log.warn({ problem: (error as Error).message }, 'cannot clean up stale UDP flows; trying again');
        await clock.sleep(this.#retry.nextMs(), signal);
      }
    }
    this.#isBusy = false;
  }

  async #cleanOnce(review: FlowReview): Promise<void> {
    const { log } = this.#parts;
    const { scopes } = review.judge(this.#servicePorts, []);
    let deleted = 0;
    for (const family of FAMILIES) {
      const own = scopes.filter((scope) => scope.family === family);
      if (own.length > 0) deleted += await this.#cleanFamily(family, own, review);
    }
    if (deleted > 0) log.info({ deleted }, 'deleted flows that could not reach a backend any more');
  }

  async #cleanFamily(family: Family, scopes: readonly FlowScope[], review: FlowReview): Promise<number> {
    const { flows, localAddresses, clock, metrics } = this.#parts;
    const startedMs = clock.monotonicMs();
    const found: TrackedFlow[] = [];
    for (const scope of scopes) found.push(...(await flows.list(scope)));
    // Judged by what is served after the list was read: what came meanwhile is no reason to end a flow to it.
    const judge = review.judge(this.#servicePorts, localAddresses());
    const deleted = await flows.delete(found.filter((flow) => judge.isStale(flow)));
    metrics.cleaned(family, (clock.monotonicMs() - startedMs) / 1_000, deleted);
    return deleted;
  }
}

import type { Clock } from '../support/clock.ts';
import type { FollowObserver } from './services/follow-observer.ts';

/** After a whole list was worked through: long enough for what follows it to be over. */
const SETTLE_MS = 1_000;
const SELDOM_MS = 600_000;

export interface HeapTrimParts {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Collects all garbage and gives the pages back; holds everything up for about 2 ms per MB that is in use. */
  readonly collect?: () => void;
}

/**
 * Gives back what reading and comparing everything took: V8 keeps the pages otherwise, half of the process at 5,000
 * Services. Once after the start, and at most every ten minutes after a whole list later.
 */
export class HeapTrim implements FollowObserver {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #collect: () => void;
  #nextAtMs = 0;

  constructor({ clock, signal, collect = collectAll }: HeapTrimParts) {
    this.#clock = clock;
    this.#signal = signal;
    this.#collect = collect;
  }

  programmed(_servicePorts: unknown, isWhole: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    if (!isWhole || nowMs < this.#nextAtMs) return;
    this.#nextAtMs = nowMs + SELDOM_MS;
    void this.#clock.sleep(SETTLE_MS, this.#signal).then(() => {
      if (!this.#signal.aborted) this.#collect();
    });
  }
}

/** Does nothing where the executable was not started with --expose-gc. */
function collectAll(): void {
  void globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

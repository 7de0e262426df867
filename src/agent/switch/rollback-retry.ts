import { ROLLBACK_TRIES, type AttemptEvent } from '../../core/node/mode-switch.ts';
import { Backoff } from '../../support/backoff.ts';
import type { Clock } from '../../support/clock.ts';

/** Has a way back that failed tried again at growing pauses: a single refused write must not leave a node between two modes. */
export class RollbackRetry {
  readonly #clock: Clock;
  readonly #backoff = new Backoff({ firstMs: 100, maxMs: 10_000 });
  #tries = 0;
  #dueMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** When the next try is due, monotonic; in the past where nothing waits. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** What became of one try; the result says whether there is another. */
  judge(event: AttemptEvent): AttemptEvent {
    if (event.kind === 'stepFailed' && this.#tries + 1 < ROLLBACK_TRIES) {
      this.#tries += 1;
      this.#dueMs = this.#clock.monotonicMs() + this.#backoff.nextMs();
      return { ...event, mayRetry: true };
    }
    this.reset();
    return event;
  }

  reset(): void {
    this.#tries = 0;
    this.#dueMs = 0;
    this.#backoff.reset();
  }
}

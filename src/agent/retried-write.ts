import { isApiStatus } from '../kube/error.ts';
import { Backoff } from '../support/backoff.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';

export interface RetriedWriteParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** What is written, for the log. */
  readonly what: string;
  /** Writes the newest facts, if there is anything to write; may throw. */
  readonly write: () => Promise<void>;
}

/** Writes to this node's object: one request at a time, the newest facts only, again after a failure. */
export class RetriedWrite {
  readonly #parts: RetriedWriteParts;
  readonly #backoff = new Backoff({ firstMs: 500, maxMs: 30_000 });
  #isWanted = false;
  #isBusy = false;
  #pause = new AbortController();

  constructor(parts: RetriedWriteParts) {
    this.#parts = parts;
  }

  /** The facts may have changed. */
  request(): void {
    this.#isWanted = true;
    if (!this.#isBusy) void this.#work();
  }

  /** The API server answers again: what could not be written is tried now. */
  hurry(): void {
    this.#pause.abort();
    this.#pause = new AbortController();
  }

  async #work(): Promise<void> {
    const { clock, log, signal, what, write } = this.#parts;
    this.#isBusy = true;
    while (this.#isWanted && !signal.aborted) {
      this.#isWanted = false;
      try {
        await write();
        this.#backoff.reset();
      } catch (error) {
        // Without the object there is nothing to write to; its next version asks again.
        if (isApiStatus(error, 404) || signal.aborted) continue;
        log.warn({ problem: (error as Error).message }, `cannot write ${what}; trying again`);
        this.#isWanted = true;
        await clock.sleep(this.#backoff.nextMs(), AbortSignal.any([signal, this.#pause.signal]));
      }
    }
    this.#isBusy = false;
  }
}

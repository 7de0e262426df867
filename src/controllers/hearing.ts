import type { Clock } from '../support/clock.ts';

/** A watch that fails and is taken up again at once has missed nothing that matters. */
const SHORT_GAP_MS = 3_000;

/**
 * Since when this process hears of the nodes without a gap. Who was cut off from the API server, perhaps with all agents,
 * has to let them speak before it judges what they should have said meanwhile. It begins when it is made.
 */
export class Hearing {
  readonly #clock: Clock;
  #sinceMs: number;
  #lastSignMs: number;
  #isCut = false;
  #unbroken = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.now();
    this.#lastSignMs = clock.monotonicMs();
  }

  /** Milliseconds since 1970; now, while nothing can be heard. */
  get sinceMs(): number {
    return this.#isCut ? this.#clock.now() : this.#sinceMs;
  }

  /** Aborts when nothing has been heard for a while and nothing can be: what was decided by then may be wrong. */
  get unbroken(): AbortSignal {
    return this.#unbroken.signal;
  }

  /** Something came from the API server. */
  sign(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#isCut && nowMs - this.#lastSignMs > SHORT_GAP_MS) this.#sinceMs = this.#clock.now();
    this.#isCut = false;
    this.#lastSignMs = nowMs;
  }

  /** Nothing can be read now, or a request had no answer. */
  cut(): void {
    this.#isCut = true;
    if (this.#clock.monotonicMs() - this.#lastSignMs <= SHORT_GAP_MS) return;
    this.#unbroken.abort();
    this.#unbroken = new AbortController();
  }
}

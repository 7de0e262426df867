import type { Clock } from '../support/clock.ts';

/** A watch that fails and is taken up again at once has missed nothing that matters. */
const SHORT_GAP_MS = 10_000;

/**
 * Since when this process hears of the nodes without a gap. Who was cut off from the API server, perhaps with all agents,
 * has to let them speak before it judges what they should have said meanwhile. It begins when it is made.
 */
export class Hearing {
  readonly #clock: Clock;
  #sinceMs: number;
  #lastSignMs: number;
  #isCut = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.now();
    this.#lastSignMs = clock.monotonicMs();
  }

  /** Milliseconds since 1970. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Something came from the API server. */
  sign(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#isCut && nowMs - this.#lastSignMs > SHORT_GAP_MS) this.#sinceMs = this.#clock.now();
    this.#isCut = false;
    this.#lastSignMs = nowMs;
  }

  /** Nothing can be read now. */
  cut(): void {
    this.#isCut = true;
  }
}

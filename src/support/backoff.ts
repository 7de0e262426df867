export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Returns a number in [0, 1); spreads the retries of many nodes. */
  readonly random?: () => number;
}

/** Exponential delays with up to a quarter of jitter; `reset` after a success. */
export class Backoff {
  readonly #options: BackoffOptions;
  #attempt = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** The delay before the next try, in milliseconds. */
  nextMs(): number {
    const { firstMs, maxMs, random = Math.random } = this.#options;
    const delay = Math.min(maxMs, firstMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return delay * (1 - random() / 4);
  }

  reset(): void {
    this.#attempt = 0;
  }
}

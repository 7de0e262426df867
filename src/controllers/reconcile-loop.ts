import { Backoff } from '../support/backoff.ts';
import type { Clock } from '../support/clock.ts';

/** Many events come together; one plan answers them all. */
const DEBOUNCE_MS = 50;

export interface ReconcileResult {
  /** When to run again without an event, in milliseconds since 1970; null for never. */
  readonly wakeAtMs: number | null;
  /** Something is left to do that failed: run again soon, each time a little later. */
  readonly mustRetry: boolean;
}

/**
 * Runs one thing again after every trigger, never twice at a time. A run sees everything that was triggered before it
 * began, whatever the number of triggers.
 */
export class ReconcileLoop {
  readonly #clock: Clock;
  readonly #run: () => Promise<ReconcileResult>;
  readonly #backoff = new Backoff({ firstMs: 100, maxMs: 30_000 });
  #isTriggered = false;
  #wake: () => void = () => undefined;

  /** `run` must not throw. */
  constructor(clock: Clock, run: () => Promise<ReconcileResult>) {
    this.#clock = clock;
    this.#run = run;
  }

  trigger(): void {
    this.#isTriggered = true;
    this.#wake();
  }

  /** Resolves when `signal` aborts, after the run that is under way. */
  async start(signal: AbortSignal): Promise<void> {
    let wakeAtMs: number | null = null;
    while (!signal.aborted) {
      await this.#untilTriggered(wakeAtMs, signal);
      await this.#clock.sleep(DEBOUNCE_MS, signal);
      if (signal.aborted) return;
      this.#isTriggered = false;
      const result = await this.#run();
      wakeAtMs = this.#nextMs(result);
    }
  }

  /** What failed waits its time; what is triggered meanwhile does not wait with it. */
  #nextMs({ wakeAtMs, mustRetry }: ReconcileResult): number | null {
    if (!mustRetry) {
      this.#backoff.reset();
      return wakeAtMs;
    }
    return Math.min(wakeAtMs ?? Infinity, this.#clock.now() + this.#backoff.nextMs());
  }

  async #untilTriggered(wakeAtMs: number | null, signal: AbortSignal): Promise<void> {
    if (this.#isTriggered) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    // setTimeout takes no more than 2^31 ms; a longer wait is taken up again.
    const delayMs = wakeAtMs === null ? 3_600_000 : Math.min(3_600_000, Math.max(0, wakeAtMs - this.#clock.now()));
    await this.#clock.sleep(delayMs, AbortSignal.any([woken.signal, signal]));
    this.#wake = () => undefined;
  }
}

import { systemClock, type Clock } from '../../src/support/clock.ts';

/** The time of the machine, and more when a test skips some: sleepers whose time has come by that wake at once. */
export class SkippingClock implements Clock {
  #skippedMs = 0;
  readonly #skips = new Set<() => void>();

  now(): number {
    return systemClock.now() + this.#skippedMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#skippedMs;
  }

  async sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    const untilMs = this.monotonicMs() + delayMs;
    while (signal?.aborted !== true && this.monotonicMs() < untilMs) {
      const skipped = new AbortController();
      const wake = () => skipped.abort();
      this.#skips.add(wake);
      const woken = signal === undefined ? skipped.signal : AbortSignal.any([skipped.signal, signal]);
      await systemClock.sleep(Math.max(0, untilMs - this.monotonicMs()), woken);
      this.#skips.delete(wake);
    }
  }

  skip(ms: number): void {
    this.#skippedMs += ms;
    for (const wake of this.#skips) wake();
  }
}

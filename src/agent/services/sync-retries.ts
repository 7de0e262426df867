import type { ImplementedMode } from '../../core/mode.ts';
import { Backoff } from '../../support/backoff.ts';
import type { Clock } from '../../support/clock.ts';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 30_000;

interface Failure {
  readonly problem: string;
  /** Monotonic. */
  readonly dueMs: number;
}

/** When the modes whose rules the kernel did not take are tried again: each by itself, at growing pauses. */
export class SyncRetries {
  readonly #clock: Clock;
  readonly #backoffs = new Map<ImplementedMode, Backoff>();
  readonly #failures = new Map<ImplementedMode, Failure>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why the kernel did not take the last state of a mode; null when it did in all. */
  get problem(): string | null {
    const [failure] = this.#failures.values();
    return failure?.problem ?? null;
  }

  /** When the next mode is due, monotonic; null when there is none. */
  get dueMs(): number | null {
    return this.#failures.size === 0 ? null : Math.min(...[...this.#failures.values()].map(({ dueMs }) => dueMs));
  }

  /** Whether this mode failed and is not to be tried yet. */
  isWaiting(mode: ImplementedMode): boolean {
    return (this.#failures.get(mode)?.dueMs ?? -Infinity) > this.#clock.monotonicMs();
  }

  failed(mode: ImplementedMode, problem: string): void {
    const backoff = this.#backoffs.get(mode) ?? new Backoff({ firstMs: FIRST_PAUSE_MS, maxMs: LONGEST_PAUSE_MS });
    this.#backoffs.set(mode, backoff);
    this.#failures.set(mode, { problem, dueMs: this.#clock.monotonicMs() + backoff.nextMs() });
  }

  /** The kernel took it, or nobody asks for this mode any more. */
  forget(mode: ImplementedMode): void {
    this.#backoffs.delete(mode);
    this.#failures.delete(mode);
  }
}

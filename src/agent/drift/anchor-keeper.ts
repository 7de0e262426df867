import { Backoff } from '../../support/backoff.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';

export interface AnchorKeeperParts {
  /** Makes the anchor complete; changes nothing where it is. */
  readonly ensureAnchor: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Has the anchor completed whenever it may lack something, until the kernel takes it. */
export class AnchorKeeper {
  readonly #parts: AnchorKeeperParts;
  readonly #retry = new Backoff({ firstMs: 50, maxMs: 30_000 });
  #dueMs = Infinity;

  constructor(parts: AnchorKeeperParts) {
    this.#parts = parts;
  }

  /** When there is something to do, monotonic; Infinity when there is not. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** Somebody may have changed it, or an older version of ours made it. */
  note(): void {
    this.#dueMs = Math.min(this.#dueMs, this.#parts.clock.monotonicMs());
  }

  /** It is not wanted any more. */
  forget(): void {
    this.#dueMs = Infinity;
  }

  /** False when there is nothing to do now. */
  async keepOnce(): Promise<boolean> {
    const { ensureAnchor, clock, log } = this.#parts;
    if (clock.monotonicMs() < this.#dueMs) return false;
    this.#dueMs = Infinity;
    try {
      await ensureAnchor();
      this.#retry.reset();
    } catch (error) {
      log.error({ problem: (error as Error).message }, 'the anchor cannot be completed; trying again');
      this.#dueMs = clock.monotonicMs() + this.#retry.nextMs();
    }
    return true;
  }
}

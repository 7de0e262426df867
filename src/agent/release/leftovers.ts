import { IMPLEMENTED_MODES, type ImplementedMode } from '../../core/mode.ts';
import type { LeftoverProblem, LeftoverSight } from '../../core/node/leftovers.ts';
import { Backoff } from '../../support/backoff.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import { findPresentModes, type CreateDataplane } from './present-modes.ts';

/** Removes the rules of `mode`. Throws KernelError. */
export async function removeMode(mode: ImplementedMode, createDataplane: CreateDataplane): Promise<void> {
  const dataplane = createDataplane(mode);
  try {
    await dataplane.remove();
  } finally {
    dataplane.close();
  }
}

export interface LeftoversParts {
  readonly createDataplane: CreateDataplane;
  readonly clock: Clock;
  readonly log: Log;
}

/** Removes rules of ours in modes that do not serve, as an earlier life of this agent or a restored backup leaves them; what fails is tried again. */
export class Leftovers {
  readonly #parts: LeftoversParts;
  readonly #retry = new Backoff({ firstMs: 1_000, maxMs: 300_000 });
  #dueMs = 0;
  #sight: LeftoverSight | null = null;

  constructor(parts: LeftoversParts) {
    this.#parts = parts;
  }

  /** When there is something to do, monotonic; Infinity when there is not. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** What the last look found; null before the first one. */
  get sight(): LeftoverSight | null {
    return this.#sight;
  }

  /** There may be something again. */
  note(): void {
    this.#dueMs = Math.min(this.#dueMs, this.#parts.clock.monotonicMs());
  }

  /** The modes that have rules of ours although they are not kept; they are removed soon. */
  async look(isKept: (mode: ImplementedMode) => boolean): Promise<readonly ImplementedMode[]> {
    const others = IMPLEMENTED_MODES.filter((mode) => !isKept(mode));
    const { present } = await findPresentModes(this.#parts.createDataplane, others);
    if (present.length > 0) this.note();
    return present;
  }

  /** False when there is nothing to do now. */
  async removeOnce(isKept: (mode: ImplementedMode) => boolean): Promise<boolean> {
    const { createDataplane, clock, log } = this.#parts;
    if (clock.monotonicMs() < this.#dueMs) return false;
    this.#dueMs = Infinity;
    const others = IMPLEMENTED_MODES.filter((mode) => !isKept(mode));
    const { present, unseen } = await findPresentModes(createDataplane, others);
    const left: LeftoverProblem[] = [];
    for (const mode of present) {
      try {
        await removeMode(mode, createDataplane);
        log.info({ mode }, 'removed rules of a mode that does not serve');
      } catch (error) {
        const problem = (error as Error).message;
        log.warn({ mode, problem }, 'cannot remove rules of a mode that does not serve; trying again');
        left.push({ mode, problem });
      }
    }
    for (const fields of unseen) log.warn({ ...fields }, 'cannot look for rules of this mode; trying again');
    this.#sight = { left, unseen };
    if (left.length + unseen.length > 0) this.#dueMs = clock.monotonicMs() + this.#retry.nextMs();
    else this.#retry.reset();
    return true;
  }
}

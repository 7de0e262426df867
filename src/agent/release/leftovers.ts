import { IMPLEMENTED_MODES, type ImplementedMode } from '../../core/mode.ts';
import type { Dataplane } from '../../kernel/dataplane.ts';
import { Backoff } from '../../support/backoff.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';

type CreateDataplane = (mode: ImplementedMode) => Dataplane;

/**
 * The modes, of those asked about, that have rules of ours in the kernel, complete or not. To look for many rules of iptables
 * takes seconds.
 */
export async function presentModes(
  createDataplane: CreateDataplane,
  log: Log,
  modes: readonly ImplementedMode[] = IMPLEMENTED_MODES,
): Promise<ImplementedMode[]> {
  const present: ImplementedMode[] = [];
  for (const mode of modes) {
    const dataplane = createDataplane(mode);
    try {
      if (await dataplane.isPresent()) present.push(mode);
    } catch (error) {
      // A mode whose tools are missing cannot be looked for; its preflight says so if it is ever asked for.
      log.debug({ mode, problem: (error as Error).message }, 'cannot look for rules of this mode');
    } finally {
      dataplane.close();
    }
  }
  return present;
}

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

  constructor(parts: LeftoversParts) {
    this.#parts = parts;
  }

  /** When there is something to do, monotonic; Infinity when there is not. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** The modes that have rules of ours although they are not kept; they are removed soon. */
  async look(isKept: (mode: ImplementedMode) => boolean): Promise<readonly ImplementedMode[]> {
    const { createDataplane, clock, log } = this.#parts;
    const others = IMPLEMENTED_MODES.filter((mode) => !isKept(mode));
    const found = await presentModes(createDataplane, log, others);
    if (found.length > 0) this.#dueMs = Math.min(this.#dueMs, clock.monotonicMs());
    return found;
  }

  /** False when there is nothing to do now. */
  async removeOnce(isKept: (mode: ImplementedMode) => boolean): Promise<boolean> {
    const { createDataplane, clock, log } = this.#parts;
    if (clock.monotonicMs() < this.#dueMs) return false;
    this.#dueMs = Infinity;
    const others = IMPLEMENTED_MODES.filter((mode) => !isKept(mode));
    for (const mode of await presentModes(createDataplane, log, others)) {
      try {
        await removeMode(mode, createDataplane);
        log.info({ mode }, 'removed rules of a mode that does not serve');
      } catch (error) {
        const problem = (error as Error).message;
        log.warn({ mode, problem }, 'cannot remove rules of a mode that does not serve; trying again');
        this.#dueMs = clock.monotonicMs() + this.#retry.nextMs();
      }
    }
    return true;
  }
}

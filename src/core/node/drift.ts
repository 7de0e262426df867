/** Repairs that are made at once within the window; beyond that somebody else keeps changing our rules. */
const QUICK_REPAIRS = 30;
/** A quiet time as long as this after a repair, and everything is forgiven. */
const WINDOW_MS = 60_000;
/** How long the next repair waits then, doubling with each. */
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 300_000;
/** How long after the last drift the node still says so. */
const REMEMBER_MS = 300_000;

/** What the condition Drifted says: rules were changed lately, and maybe so often that repairs wait. */
export type DriftState = 'none' | 'recent' | 'contested';

/**
 * Decides how soon rules that somebody else changed are repaired: at once as a rule, at growing intervals where that
 * happens again and again, so that two owners never fight without end. Times are monotonic milliseconds.
 */
export class DriftLedger {
  /** When repairs were, or will be, made. */
  #repairs: number[] = [];
  #pauseMs = FIRST_PAUSE_MS;
  #isContested = false;
  #count = 0;

  /** All drifts since the start of the process. */
  get count(): number {
    return this.#count;
  }

  /** Somebody changed our rules; gives the delay before the repair, in milliseconds. */
  record(nowMs: number): number {
    this.#count += 1;
    this.#repairs = this.#repairs.filter((atMs) => nowMs - atMs < WINDOW_MS);
    if (this.#repairs.length === 0) {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#isContested = false;
    }
    this.#isContested ||= this.#repairs.length >= QUICK_REPAIRS;
    const delayMs = this.#isContested ? this.#pauseMs : 0;
    this.#repairs.push(nowMs + delayMs);
    if (this.#isContested) this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
    return delayMs;
  }

  stateAt(nowMs: number): DriftState {
    const last = this.#repairs.at(-1);
    if (last === undefined || nowMs - last >= REMEMBER_MS) return 'none';
    return this.#isContested && nowMs - last < WINDOW_MS ? 'contested' : 'recent';
  }
}

/** Repairs that are made at once within the window; beyond that somebody else keeps changing our rules. */
const QUICK_REPAIRS = 10;
const WINDOW_MS = 60_000;
/** How long the next repair waits then, doubling with each. */
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 300_000;
/** How long after the last drift the node still says so. */
const REMEMBER_MS = 300_000;

/**
 * Decides how soon rules that somebody else changed are repaired: at once as a rule, at growing intervals where that
 * happens again and again, so that two owners never fight without end. Times are monotonic milliseconds.
 */
export class DriftLedger {
  #repairs: number[] = [];
  #pauseMs = FIRST_PAUSE_MS;
  #lastMs: number | null = null;
  #count = 0;

  /** All drifts since the start of the process. */
  get count(): number {
    return this.#count;
  }

  /** Somebody changed our rules; gives the delay before the repair, in milliseconds. */
  record(nowMs: number): number {
    this.#count += 1;
    this.#lastMs = nowMs;
    this.#repairs = this.#repairs.filter((atMs) => nowMs - atMs < WINDOW_MS);
    if (this.#repairs.length === 0) this.#pauseMs = FIRST_PAUSE_MS;
    this.#repairs.push(nowMs);
    if (this.#repairs.length <= QUICK_REPAIRS) return 0;
    const delayMs = this.#pauseMs;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
    return delayMs;
  }

  /** Whether rules were changed by others lately. */
  isRecent(nowMs: number): boolean {
    return this.#lastMs !== null && nowMs - this.#lastMs < REMEMBER_MS;
  }

  /** Whether they are changed so often that repairs wait. */
  isContested(nowMs: number): boolean {
    return this.#repairs.filter((atMs) => nowMs - atMs < WINDOW_MS).length > QUICK_REPAIRS;
  }
}

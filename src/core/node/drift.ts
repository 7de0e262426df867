/** So many repairs are made at once, and one more each time this long has gone by; beyond that it is a fight. */
const QUICK_REPAIRS = 30;
const ONE_MORE_MS = 10_000;
/** A quiet time as long as this after a repair, and everything is forgiven. */
const QUIET_MS = 60_000;
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
  /** When the last repair was, or will be, made. */
  #repairMs: number | undefined;
  /** Quick repairs that were made and have not come back. */
  #spent = 0;
  #recordMs = 0;
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
    if (this.#repairMs === undefined || nowMs - this.#repairMs >= QUIET_MS) {
      this.#spent = 0;
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#isContested = false;
    }
    this.#spent = Math.max(0, this.#spent - (nowMs - this.#recordMs) / ONE_MORE_MS) + 1;
    this.#recordMs = nowMs;
    // However long each repair takes: a slow node is not to fight for ever either.
    this.#isContested ||= this.#spent > QUICK_REPAIRS;
    const delayMs = this.#isContested ? this.#pauseMs : 0;
    this.#repairMs = nowMs + delayMs;
    if (this.#isContested) this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
    return delayMs;
  }

  stateAt(nowMs: number): DriftState {
    const last = this.#repairMs;
    if (last === undefined || nowMs - last >= REMEMBER_MS) return 'none';
    return this.#isContested && nowMs - last < QUIET_MS ? 'contested' : 'recent';
  }
}

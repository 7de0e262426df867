import { limitPrograms } from '../../kernel/program-limit.ts';
import type { Clock } from '../../support/clock.ts';

/**
 * Time that work has to come to its end once its programs were killed. More than a program has by itself, since it may
 * wait for somebody else's to be killed at its own deadline.
 */
const END_MS = 90_000;
/** The longest that a timer waits. */
const LONGEST_MS = 2 ** 31 - 1;

export interface StepDeadlineParts {
  readonly clock: Clock;
  /** Nothing helps: what was begun does not end, and nothing else can be done until it does. */
  readonly onStuck: () => void;
}

/**
 * Does `work`, which writes to the kernel and so cannot be left alone to go on beside what follows. When it has not ended at
 * `deadlineMs` (monotonic), the programs that it runs are killed, which ends it; where it does not end even then, `onStuck`
 * is called. Resolves and rejects as `work` does.
 */
export async function withDeadline<T>(
  { clock, onStuck }: StepDeadlineParts,
  deadlineMs: number,
  work: () => Promise<T>,
): Promise<T> {
  if (deadlineMs === Infinity) return work();
  const stop = new AbortController();
  const ended = new AbortController();
  void watch();
  try {
    return await limitPrograms(stop.signal, work);
  } finally {
    ended.abort();
  }

  async function watch(): Promise<void> {
    while (!ended.signal.aborted && clock.monotonicMs() < deadlineMs) {
      await clock.sleep(Math.min(LONGEST_MS, Math.ceil(deadlineMs - clock.monotonicMs())), ended.signal);
    }
    if (ended.signal.aborted) return;
    stop.abort();
    await clock.sleep(END_MS, ended.signal);
    if (!ended.signal.aborted) onStuck();
  }
}

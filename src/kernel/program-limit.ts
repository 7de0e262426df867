import { AsyncLocalStorage } from 'node:async_hooks';

interface Limit {
  readonly signal: AbortSignal;
  /** What goes on beyond the work that was limited is bound by nothing any more. */
  isOver: boolean;
}

const limits = new AsyncLocalStorage<Limit>();

/**
 * Runs `work`. When `signal` aborts before it has ended, the programs that it runs are killed and those that it would run
 * are not started: both fail, and so the work comes to its end by itself, without an effect after that.
 */
export async function limitPrograms<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const limit: Limit = { signal, isOver: false };
  try {
    return await limits.run(limit, work);
  } finally {
    limit.isOver = true;
  }
}

/** What limits the programs that are run now; undefined when nothing does. */
export function programLimit(): AbortSignal | undefined {
  const limit = limits.getStore();
  return limit === undefined || limit.isOver ? undefined : limit.signal;
}

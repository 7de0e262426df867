const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const cleanups = new Set<() => void>();

function cleanUpAll(): void {
  for (const cleanUp of cleanups) cleanUp();
  cleanups.clear();
}

/**
 * A program that handles the signal itself decides when to end, and the exit handler cleans up then; where nobody else
 * listens, clean up and die of the signal as if it had not been caught.
 */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  cleanUpAll();
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}

function watch(): void {
  process.on('exit', cleanUpAll);
  for (const signal of SIGNALS) process.on(signal, onSignal);
}

function unwatch(): void {
  process.off('exit', cleanUpAll);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

/** Runs the synchronous `cleanUp` when this process exits or dies of a signal it can catch; the result calls that off. */
export function guardExit(cleanUp: () => void): () => void {
  if (cleanups.size === 0) watch();
  cleanups.add(cleanUp);
  return () => {
    if (cleanups.delete(cleanUp) && cleanups.size === 0) unwatch();
  };
}

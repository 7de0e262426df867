/** Shorter than the history that API servers keep by default, so that a watch that ends can be taken up where it was. */
const MAX_WATCH_SECONDS = 300;
const MIN_WATCH_SECONDS = 240;
const GRACE_MS = 30_000;

/**
 * After how much silence on a connection the kernel asks whether the other end is still there. libuv asks ten times, a
 * second apart, so a connection that leads nowhere breaks 40 seconds after its last word.
 */
export const KEEP_ALIVE_IDLE_MS = 30_000;

export interface WatchTime {
  /** What the server is asked to end the watch after; another one each time, so that a fleet does not ask all at once. */
  readonly timeoutSeconds: number;
  /**
   * Only after this much silence is a watch given up. A healthy one may be silent until its end: bookmarks come about once
   * a minute, but not to a kind of which nothing has changed since the API server started.
   */
  readonly silenceMs: number;
}

export function newWatchTime(random: () => number = Math.random): WatchTime {
  const timeoutSeconds = Math.floor(MIN_WATCH_SECONDS + random() * (MAX_WATCH_SECONDS - MIN_WATCH_SECONDS));
  return { timeoutSeconds, silenceMs: silenceOf(timeoutSeconds) };
}

/** How long a watch may be silent that the server is to end after `timeoutSeconds`. */
export function silenceOf(timeoutSeconds: number): number {
  return timeoutSeconds * 1_000 + GRACE_MS;
}

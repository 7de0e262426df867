import { Backoff } from '../support/backoff.ts';
import type { Clock } from '../support/clock.ts';
import type { KubeClient, Query } from './client.ts';
import type { Complaints } from './complaints.ts';
import { ApiError, isApiStatus, isGone } from './error.ts';
import { newWatchTime } from './watch-time.ts';

const SHORT_WATCH_MS = 5_000;
/** How often a server is asked again for a kind that it does not have. */
const ABSENT_MS = 60_000;

/** Called in the order in which the API server made the changes, never two at a time. */
export interface ListWatchHandler<T> {
  /** The whole list; whatever is not in it is gone. */
  replace(objects: readonly T[]): void;
  upsert(object: T): void;
  remove(object: T): void;
  /**
   * For a kind that nobody waits for: called each time that it cannot be listed before it ever was. What was known of it
   * stays; only a server that says that it has no such kind (404) has none of these objects.
   */
  unlisted?(): void;
}

export interface ListWatchOptions<T> {
  readonly client: KubeClient;
  /** Path of the collection, e.g. `/api/v1/services`. */
  readonly path: string;
  readonly selectors: Query;
  readonly handler: ListWatchHandler<T>;
  readonly clock: Clock;
  readonly complaints: Complaints;
  readonly signal: AbortSignal;
}

interface Listed {
  readonly metadata?: { readonly resourceVersion?: string };
}

/**
 * Lists, then watches, for ever: resumes at the last resource version (bookmarks count) when a watch ends, lists again
 * when that version is no longer kept, and backs off while the server does not answer. Returns when `signal` aborts.
 */
export async function runListWatch<T>(options: ListWatchOptions<T>): Promise<void> {
  const { clock, signal } = options;
  const backoff = new Backoff({ firstMs: 200, maxMs: 10_000 });
  // Version 0 lets the API server answer from its watch cache, which hundreds of nodes that start together need.
  let atLeast = '0';
  let resourceVersion = '';
  let hasListed = false;
  while (!signal.aborted) {
    try {
      if (resourceVersion === '') resourceVersion = await listAll(options, atLeast);
      hasListed = true;
      const startedMs = clock.monotonicMs();
      await watchOnce(options, resourceVersion, (version) => (resourceVersion = version));
      // A server that ends each watch at once must not be asked in a tight loop.
      if (clock.monotonicMs() - startedMs > SHORT_WATCH_MS) backoff.reset();
      else await clock.sleep(backoff.nextMs(), signal);
    } catch (error) {
      if (signal.aborted) return;
      if (isGone(error)) {
        // Another API server's cache may be older than what we have seen: only the newest list never leads back in time.
        atLeast = '';
        resourceVersion = '';
        await clock.sleep(backoff.nextMs(), signal);
        continue;
      }
      const isAbsent = tellOfTrouble(options, error, hasListed);
      if (isAbsent) resourceVersion = '';
      await clock.sleep(isAbsent ? ABSENT_MS : backoff.nextMs(), signal);
    }
  }
}

/** Returns whether the server has no such kind, which is no trouble where that is optional. */
function tellOfTrouble<T>(
  { handler, complaints, path }: ListWatchOptions<T>,
  error: unknown,
  hasListed: boolean,
): boolean {
  const isAbsent = handler.unlisted !== undefined && isApiStatus(error, 404);
  if (isAbsent) handler.replace([]);
  else {
    if (!hasListed) handler.unlisted?.();
    complaints.say(path, error);
  }
  return isAbsent;
}

/** `atLeast` is a resource version as a list takes it: 0 for any that is cached, empty for the newest. */
async function listAll<T>(options: ListWatchOptions<T>, atLeast: string): Promise<string> {
  const { client, path, selectors, handler, signal } = options;
  const query = atLeast === '' ? selectors : { ...selectors, resourceVersion: atLeast };
  const list = await client.get(path, query, signal);
  options.complaints.forget();
  handler.replace((list['items'] ?? []) as T[]);
  return (list as Listed).metadata?.resourceVersion ?? '';
}

async function watchOnce<T>(
  { client, path, selectors, handler, complaints, signal }: ListWatchOptions<T>,
  from: string,
  seen: (resourceVersion: string) => void,
): Promise<void> {
  const time = newWatchTime();
  const query = { ...selectors, resourceVersion: from, allowWatchBookmarks: 'true' };
  for await (const event of client.watch(path, query, { signal, time, onOpen: () => complaints.end(path) })) {
    if (event.type === 'ERROR') {
      const status = event.object as { code?: number; reason?: string; message?: string };
      throw new ApiError('WATCH', path, status.code ?? 500, status);
    }
    const version = (event.object as Listed).metadata?.resourceVersion;
    if (version !== undefined) seen(version);
    if (event.type === 'DELETED') handler.remove(event.object as T);
    else if (event.type !== 'BOOKMARK') handler.upsert(event.object as T);
  }
}

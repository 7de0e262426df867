import { ApiError, isGone, type StatusBody } from '../kube/error.ts';
import { Backoff } from '../support/backoff.ts';
import type { Clock } from '../support/clock.ts';
import { toApiError, type FailureLog } from './api-failure.ts';
import type { CachedObject, ObjectCache } from './object-cache.ts';
import type { ListAnswer, ResourceRequests } from './resource-requests.ts';

const PAGE_SIZE = 500;
const SHORT_WATCH_MS = 5_000;

export type WatchPhase = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface ResourceWatchOptions<T extends CachedObject> {
  readonly requests: ResourceRequests;
  /** For people, such as `proxyprofiles.switchyard.dev`. */
  readonly id: string;
  /** Path of the collection. */
  readonly path: string;
  /** Makes what is kept from what the API server sends. */
  readonly read: (object: unknown) => T;
  readonly cache: ObjectCache<T>;
  /** Called after the cache has taken the change. */
  readonly onEvent: (phase: WatchPhase, object: T) => void;
  readonly onListed: () => void;
  /** Called whenever the server says anything, be it that nothing changed. */
  readonly onSign?: () => void;
  readonly clock: Clock;
  readonly failures: FailureLog;
}

async function listAll<T extends CachedObject>(options: ResourceWatchOptions<T>): Promise<string> {
  const { cache, read, onEvent, onListed } = options;
  const mark = cache.mark();
  const objects: T[] = [];
  let answer: ListAnswer;
  let next = '';
  // Without a resourceVersion the answer is at least as new as any write that ended before it was asked for.
  do {
    answer = await options.requests.list(options, {
      limit: String(PAGE_SIZE),
      ...(next === '' ? {} : { continue: next }),
    });
    objects.push(...(answer.items ?? []).map(read));
    next = answer.metadata?.continue ?? '';
  } while (next !== '');
  for (const gone of cache.replace(objects, mark)) onEvent('DELETED', gone);
  for (const object of objects) onEvent('ADDED', object);
  options.onSign?.();
  onListed();
  return answer.metadata?.resourceVersion ?? '';
}

function take<T extends CachedObject>(options: ResourceWatchOptions<T>, phase: string, raw: unknown): void {
  const { cache, read, onEvent, id } = options;
  if (phase === 'ERROR') throw new ApiError('watch', id, (raw as StatusBody).code ?? 500, raw as StatusBody);
  if (phase !== 'ADDED' && phase !== 'MODIFIED' && phase !== 'DELETED') return;
  const object = read(raw);
  const isNews = phase === 'DELETED' ? cache.remove(object) : cache.upsert(object);
  if (isNews) onEvent(phase, object);
}

/** Resolves when the watch ends as watches do; rejects when it fails. */
async function watchOnce<T extends CachedObject>(
  options: ResourceWatchOptions<T>,
  from: string,
  seen: (resourceVersion: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for await (const { type, object } of options.requests.watch(options, from, signal)) {
    options.onSign?.();
    take(options, type, object);
    seen((object as CachedObject).metadata.resourceVersion ?? from);
  }
  // To begin a watch anew is no sign; that it was ended as agreed is one.
  options.onSign?.();
}

/**
 * Keeps the cache like the API server's objects until `signal` aborts: lists, then watches; goes on from the last
 * resource version when a watch ends, lists again when that is no longer kept, and backs off while requests fail.
 */
export async function runResourceWatch<T extends CachedObject>(
  options: ResourceWatchOptions<T>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, failures, id } = options;
  const backoff = new Backoff({ firstMs: 250, maxMs: 15_000 });
  let resourceVersion = '';
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs();
    try {
      if (resourceVersion === '') resourceVersion = await listAll(options);
      await watchOnce(options, resourceVersion, (version) => (resourceVersion = version), signal);
    } catch (caught) {
      const error = toApiError('list and watch', id, caught);
      if (isGone(error)) resourceVersion = '';
      else if (!signal.aborted) failures.report(error);
    }
    if (clock.monotonicMs() - startedMs > SHORT_WATCH_MS) backoff.reset();
    else await clock.sleep(backoff.nextMs(), signal);
  }
}

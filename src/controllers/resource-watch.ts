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
  /** Called whenever a list or a watch fails. */
  readonly onFailure?: () => void;
  readonly clock: Clock;
  readonly failures: FailureLog;
}

interface Listed<T> {
  readonly objects: readonly T[];
  readonly resourceVersion: string;
}

/** Without a resourceVersion the answer is at least as new as any write that ended before it was asked for. */
async function readAll<T extends CachedObject>(options: ResourceWatchOptions<T>): Promise<Listed<T>> {
  const objects: T[] = [];
  let answer: ListAnswer;
  let next = '';
  do {
    answer = await options.requests.list(options, {
      limit: String(PAGE_SIZE),
      ...(next === '' ? {} : { continue: next }),
    });
    objects.push(...(answer.items ?? []).map(options.read));
    next = answer.metadata?.continue ?? '';
  } while (next !== '');
  return { objects, resourceVersion: answer.metadata?.resourceVersion ?? '' };
}

async function listAll<T extends CachedObject>(options: ResourceWatchOptions<T>, history: History): Promise<string> {
  const { cache, onEvent, onListed } = options;
  const mark = cache.mark();
  const { objects, resourceVersion } = await readAll(options);
  history.check(options.id, resourceVersion);
  for (const gone of cache.replace(objects, mark)) onEvent('DELETED', gone);
  for (const object of objects) onEvent('ADDED', object);
  options.onSign?.();
  onListed();
  return resourceVersion;
}

/** Brings a cache that a watch keeps to what is true now: watches may be late. Throws as requests do. */
export async function catchUp<T extends CachedObject>(options: ResourceWatchOptions<T>): Promise<void> {
  const { objects } = await readAll(options);
  for (const object of objects) if (options.cache.upsert(object)) options.onEvent('MODIFIED', object);
}

/** How many lists that lead back in time are not believed. */
const DOUBTED_LISTS = 4;

/**
 * A list that is older than what was seen before comes from something in between, such as a cache, and would have a node
 * forgotten that was started; or the store was put back to an older state, and then the next ones are no newer.
 */
class History {
  #newest = 0n;
  #doubted = 0;

  see(resourceVersion: string): void {
    const version = numberOf(resourceVersion);
    if (version > this.#newest) this.#newest = version;
  }

  /** Throws ApiError for a list that is not believed yet. */
  check(id: string, resourceVersion: string): void {
    const version = numberOf(resourceVersion);
    const isOld = version > 0n && version < this.#newest;
    if (isOld && this.#doubted < DOUBTED_LISTS) {
      this.#doubted += 1;
      const message = `the list is of version ${resourceVersion}, and version ${this.#newest} was seen before`;
      throw new ApiError('list', id, 504, { message });
    }
    this.#doubted = 0;
    this.#newest = version;
  }
}

function numberOf(resourceVersion: string): bigint {
  return /^\d+$/.test(resourceVersion) ? BigInt(resourceVersion) : 0n;
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
  const history = new History();
  let resourceVersion = '';
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs();
    try {
      if (resourceVersion === '') resourceVersion = await listAll(options, history);
      const seen = (version: string) => {
        resourceVersion = version;
        history.see(version);
      };
      await watchOnce(options, resourceVersion, seen, signal);
    } catch (caught) {
      const error = toApiError('list and watch', id, caught);
      if (!signal.aborted) options.onFailure?.();
      if (isGone(error)) resourceVersion = '';
      else if (!signal.aborted) failures.report(error);
    }
    if (clock.monotonicMs() - startedMs > SHORT_WATCH_MS) backoff.reset();
    else await clock.sleep(backoff.nextMs(), signal);
  }
}

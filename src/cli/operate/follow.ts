import { setTimeout as delay } from 'node:timers/promises';
import { isGone } from '../../kube/error.ts';
import { ApiError } from '../../kube/error.ts';
import type { ClusterApi } from './cluster-api.ts';

interface Followed {
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
}

const RETRY_MS = 1_000;

/** The objects of one collection, kept up to date by a watch. */
export class FollowedCollection<T extends Followed> {
  readonly objects = new Map<string, T>();
  readonly #api: ClusterApi;
  readonly #path: string;
  readonly #onChange: () => void;

  constructor(api: ClusterApi, path: string, onChange: () => void) {
    this.#api = api;
    this.#path = path;
    this.#onChange = onChange;
  }

  /** Until `signal` aborts. Throws `ApiError` only for the first list; later a server that is away is waited for. */
  async run(signal: AbortSignal, onListed: () => void): Promise<void> {
    let version = await this.#list();
    onListed();
    while (!signal.aborted) {
      try {
        version = await this.#watch(version, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError) || !(error.retryable || isGone(error))) throw error;
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
        if (!signal.aborted) version = await this.#list().catch(() => version);
      }
    }
  }

  async #list(): Promise<string> {
    const list = await this.#api.get<{ items?: T[]; metadata?: { resourceVersion?: string } }>(this.#path);
    this.objects.clear();
    for (const item of list.items ?? []) this.objects.set(item.metadata.name, item);
    this.#onChange();
    return list.metadata?.resourceVersion ?? '0';
  }

  async #watch(from: string, signal: AbortSignal): Promise<string> {
    let version = from;
    const query = { resourceVersion: from, allowWatchBookmarks: 'true' };
    for await (const { type, object } of this.#api.watch<T>(this.#path, query, signal)) {
      if (type === 'ERROR') throw new ApiError('WATCH', this.#path, 410, { reason: 'Expired' });
      version = object.metadata.resourceVersion ?? version;
      if (type === 'BOOKMARK') continue;
      if (type === 'DELETED') this.objects.delete(object.metadata.name);
      else this.objects.set(object.metadata.name, object);
      this.#onChange();
    }
    return version;
  }
}

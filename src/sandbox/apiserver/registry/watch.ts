import { groupVersion, type KubeObject } from '../object.ts';
import { expired } from '../status-error.ts';
import { CompactedError, type StoreEvent } from '../store/store.ts';
import type { ListOptions } from './list-options.ts';
import { parseSelection } from './list.ts';
import type { Registry } from './registry.ts';
import { shown, type ResourceKind } from './resource-kind.ts';
import type { Predicate } from './selectors.ts';

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: KubeObject }
  | { readonly type: 'ERROR'; readonly status: Record<string, unknown> };

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

/** Receives a watch's events in order; `end` after the last one, when the watch ends by itself. */
export interface WatchSink {
  event(event: WatchEvent): void;
  end(): void;
}

export interface Watch {
  stop(): void;
  /** An event that only carries how far this watch has come. */
  bookmark(): WatchEvent;
}

/**
 * Follows a selection of objects. Events come during later writes, and already during this call for the initial state or
 * the history. A start that the history no longer covers gives one ERROR event (410) and the end. Throws 400 for
 * selectors that cannot be parsed.
 */
export function watchObjects(
  registry: Registry,
  { kind, namespace }: { kind: ResourceKind; namespace: string },
  options: ListOptions,
  sink: WatchSink,
): Watch {
  const { store } = registry;
  const matches = parseSelection(kind, namespace, options);
  const deliver = (event: StoreEvent): void => {
    const translated = translate(kind, event, matches);
    if (translated) sink.event(translated);
  };
  const watch = (stop: () => void): Watch => ({ stop, bookmark: () => bookmark(kind, store.revision) });
  try {
    const since = options.resourceVersion;
    if (startsWithState(options)) {
      for (const [, stored] of store.list(kind.collection)) {
        const object = shown(kind, stored);
        if (matches(object)) sink.event({ type: 'ADDED', object });
      }
      if (options.sendInitialEvents && options.allowBookmarks) sink.event(bookmark(kind, store.revision, true));
    } else if (since !== undefined && since < store.revision) {
      store.eventsSince(kind.collection, since).forEach(deliver);
    }
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error;
    sink.event({ type: 'ERROR', status: expired(error.message).toStatus() });
    sink.end();
    return watch(() => undefined);
  }
  const newest = options.resourceVersion ?? 0;
  return watch(
    store.subscribe((event) => {
      if (event.collection === kind.collection && event.revision > newest) deliver(event);
    }),
  );
}

function startsWithState({ resourceVersion, sendInitialEvents }: ListOptions): boolean {
  return sendInitialEvents ?? (resourceVersion === undefined || resourceVersion === 0);
}

/** As one watcher sees a change: an object that begins to match is added, one that no longer matches is deleted. */
function translate(kind: ResourceKind, event: StoreEvent, matches: Predicate): WatchEvent | undefined {
  const object = shown(kind, event.object);
  const previous = event.previous && shown(kind, event.previous);
  const matchesNow = event.type !== 'DELETED' && matches(object);
  const matchedBefore = previous !== undefined && matches(previous);
  if (matchesNow) return { type: matchedBefore ? 'MODIFIED' : 'ADDED', object };
  if (!matchedBefore) return undefined;
  const metadata = { ...previous.metadata, resourceVersion: String(event.revision) };
  return { type: 'DELETED', object: event.type === 'DELETED' ? object : { ...previous, metadata } };
}

function bookmark(kind: ResourceKind, revision: number, isInitialEnd = false): WatchEvent {
  const annotations = isInitialEnd ? { annotations: { [INITIAL_EVENTS_END]: 'true' } } : {};
  const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...annotations };
  const object = { kind: kind.kind, apiVersion: groupVersion(kind.group, kind.version), metadata };
  return { type: 'BOOKMARK', object: object as unknown as KubeObject };
}

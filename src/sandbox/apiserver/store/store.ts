import type { KubeObject } from '../object.ts';

export interface StoreEvent {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly collection: string;
  readonly key: string;
  /** As it is after the event; for DELETED the last state, with the revision of the deletion. */
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
}

export type StoreListener = (event: StoreEvent) => void;

/** The history no longer reaches back to the revision that was asked for. */
export class CompactedError extends Error {
  override readonly name = 'CompactedError';
  readonly asked: number;
  readonly oldest: number;

  constructor(asked: number, oldest: number) {
    super(`too old resource version: ${asked} (${oldest})`);
    this.asked = asked;
    this.oldest = oldest;
  }
}

/**
 * Objects by collection and key, with a log of every change: one change is one revision, revisions have no gaps. Any
 * revision that the bounded log still covers can be listed. Synchronous, so a read followed by a write is atomic.
 */
export class Store {
  #revision = 1;
  /** `#log[0]`, if any, has revision `#compacted + 1`. */
  #compacted = 1;
  #log: StoreEvent[] = [];
  readonly #collections = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Set<StoreListener>();
  readonly #undelivered: StoreEvent[] = [];
  #isDelivering = false;
  readonly #historyLimit: number;

  constructor(historyLimit: number) {
    this.#historyLimit = historyLimit;
  }

  get revision(): number {
    return this.#revision;
  }

  get(collection: string, key: string): KubeObject | undefined {
    return this.#collections.get(collection)?.get(key);
  }

  /** Creates or replaces; returns what is stored, which carries the new resourceVersion. */
  put(collection: string, key: string, object: KubeObject): KubeObject {
    const previous = this.get(collection, key);
    const stored = this.#append({ type: previous ? 'MODIFIED' : 'ADDED', collection, key, object, previous });
    return stored;
  }

  /** Removes the object, whose last state is `object`; returns that state with the revision of the deletion. */
  remove(collection: string, key: string, object: KubeObject): KubeObject {
    const previous = this.get(collection, key);
    return this.#append({ type: 'DELETED', collection, key, object, previous });
  }

  /** All objects of a collection ordered by key, now or at an earlier revision; throws CompactedError. */
  list(collection: string, revision = this.#revision): [key: string, object: KubeObject][] {
    if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
    const entries = new Map(this.#collections.get(collection));
    for (let index = this.#log.length - 1; index >= 0; index -= 1) {
      const event = this.#log[index];
      if (!event || event.revision <= revision) break;
      if (event.collection !== collection) continue;
      if (event.previous) entries.set(event.key, event.previous);
      else entries.delete(event.key);
    }
    return [...entries].sort(([left], [right]) => (left < right ? -1 : 1));
  }

  /** The changes of a collection after a revision, oldest first; throws CompactedError. */
  eventsSince(collection: string, revision: number): StoreEvent[] {
    if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
    return this.#log.slice(revision - this.#compacted).filter((event) => event.collection === collection);
  }

  /** Calls the listener with every later change, in order, before the outermost write returns. Returns how to stop it. */
  subscribe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets the history up to and including a revision, as etcd's compaction does. */
  compact(revision = this.#revision): void {
    const kept = Math.min(Math.max(revision, this.#compacted), this.#revision);
    this.#log = this.#log.slice(kept - this.#compacted);
    this.#compacted = kept;
  }

  #append(change: Omit<StoreEvent, 'revision'>): KubeObject {
    this.#revision += 1;
    const { collection, key, type } = change;
    const metadata = { ...change.object.metadata, resourceVersion: String(this.#revision) };
    const object = { ...change.object, metadata };
    const members = this.#collections.get(collection) ?? new Map<string, KubeObject>();
    this.#collections.set(collection, members);
    if (type === 'DELETED') members.delete(key);
    else members.set(key, object);
    const event = { ...change, object, revision: this.#revision };
    this.#log.push(event);
    // Twice the limit before trimming, so that trimming costs nothing per write on average.
    if (this.#log.length > 2 * this.#historyLimit) this.compact(this.#revision - this.#historyLimit);
    this.#deliver(event);
    return object;
  }

  /** A listener that writes gets its own change delivered after the present one, so that everybody sees one order. */
  #deliver(event: StoreEvent): void {
    this.#undelivered.push(event);
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      for (let next = this.#undelivered.shift(); next; next = this.#undelivered.shift()) {
        for (const listener of [...this.#listeners]) listener(next);
      }
    } finally {
      this.#isDelivering = false;
    }
  }
}

import type { ObjectMeta } from '../core/api/meta.ts';

/** As much as the cache needs to know of an object. */
export interface CachedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

function isOlder(incoming: ObjectMeta, held: ObjectMeta): boolean {
  if (incoming.uid !== held.uid) return (incoming.creationTimestamp ?? '') < (held.creationTimestamp ?? '');
  const [incomingGeneration, heldGeneration] = [incoming.generation ?? 0, held.generation ?? 0];
  if (incomingGeneration !== heldGeneration) return incomingGeneration < heldGeneration;
  return isOlderVersion(incoming.resourceVersion, held.resourceVersion);
}

/** A status changes no generation. Versions are numbers of the store in every API server that there is; others are not compared. */
function isOlderVersion(incoming = '', held = ''): boolean {
  if (!/^\d+$/.test(incoming) || !/^\d+$/.test(held)) return false;
  return BigInt(incoming) < BigInt(held);
}

/**
 * The objects of one kind, by name, as last seen in a list, in a watch or in the answer to a write of our own. What we
 * wrote is never taken back by a list or an event that was under way at that time, so a decision never rests on less
 * than our own last one.
 */
export class ObjectCache<T extends CachedObject> {
  readonly #objects = new Map<string, T>();
  /** Undefined when it is to be made anew. */
  #names: string[] | undefined;
  /** By name, the number of our last write. */
  readonly #writes = new Map<string, number>();
  #writeCount = 0;

  get(name: string): T | undefined {
    return this.#objects.get(name);
  }

  /** In the order of names, which are sorted only when objects come or go. */
  list(): T[] {
    if (this.#names?.length !== this.#objects.size) this.#names = [...this.#objects.keys()].sort();
    return this.#names.flatMap((name) => this.#objects.get(name) ?? []);
  }

  #set(object: T): void {
    if (!this.#objects.has(object.metadata.name)) this.#names = undefined;
    this.#objects.set(object.metadata.name, object);
  }

  /** Takes an object from a watch; false when something newer is held. */
  upsert(object: T): boolean {
    const held = this.#objects.get(object.metadata.name);
    if (held !== undefined && isOlder(object.metadata, held.metadata)) return false;
    this.#set(object);
    return true;
  }

  /** False when the object was not held, or another one of its name is. */
  remove({ metadata }: T): boolean {
    if (this.#objects.get(metadata.name)?.metadata.uid !== metadata.uid) return false;
    this.#writes.delete(metadata.name);
    this.#names = undefined;
    return this.#objects.delete(metadata.name);
  }

  /** Takes the answer to a write of our own. */
  recordWrite(object: T): void {
    this.#writeCount += 1;
    this.#writes.set(object.metadata.name, this.#writeCount);
    this.upsert(object);
  }

  /** To be called before a list is asked for, and given to `replace` with its answer. */
  mark(): number {
    return this.#writeCount;
  }

  /** Takes a whole list; returns what is gone. */
  replace(objects: readonly T[], mark: number): T[] {
    const names = new Set(objects.map(({ metadata }) => metadata.name));
    for (const object of objects) {
      // A list is the truth, also from a store that was put back to an older state, but for what we wrote meanwhile.
      const { name } = object.metadata;
      if ((this.#writes.get(name) ?? 0) > mark) this.upsert(object);
      else this.#set(object);
    }
    const gone = this.list().filter(
      ({ metadata }) => !names.has(metadata.name) && (this.#writes.get(metadata.name) ?? 0) <= mark,
    );
    for (const object of gone) this.remove(object);
    return gone;
  }
}

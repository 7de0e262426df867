import type { KubeObject } from '../object.ts';

/** Where an object is stored. */
export interface Place {
  readonly collection: string;
  readonly key: string;
}

/** Which objects live, by uid, and which of them name which owner. */
export class OwnerIndex {
  readonly #places = new Map<string, Place>();
  readonly #dependents = new Map<string, Map<string, Place>>();

  /** Follows one change of the store; `object` is undefined when it is gone. */
  track(place: Place, object: KubeObject | undefined, previous: KubeObject | undefined): void {
    const id = `${place.collection} ${place.key}`;
    for (const uid of ownersOf(previous)) this.#forget(uid, id);
    for (const uid of ownersOf(object)) {
      const dependents = this.#dependents.get(uid) ?? new Map<string, Place>();
      this.#dependents.set(uid, dependents.set(id, place));
    }
    const uid = (object ?? previous)?.metadata.uid ?? '';
    if (object) this.#places.set(uid, place);
    else this.#places.delete(uid);
  }

  #forget(uid: string, id: string): void {
    const dependents = this.#dependents.get(uid);
    dependents?.delete(id);
    if (dependents?.size === 0) this.#dependents.delete(uid);
  }

  isAlive(uid: string): boolean {
    return this.#places.has(uid);
  }

  placeOf(uid: string): Place | undefined {
    return this.#places.get(uid);
  }

  dependentsOf(uid: string): Place[] {
    return [...(this.#dependents.get(uid)?.values() ?? [])];
  }
}

function ownersOf(object: KubeObject | undefined): string[] {
  return object?.metadata.ownerReferences?.map(({ uid }) => uid) ?? [];
}

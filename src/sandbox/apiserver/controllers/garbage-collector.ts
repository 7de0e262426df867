import type { KubeObject } from '../object.ts';
import { deleteObject, type PropagationPolicy } from '../registry/delete.ts';
import type { Registry } from '../registry/registry.ts';
import { save } from '../registry/update.ts';
import type { StoreEvent } from '../store/store.ts';
import { OwnerIndex, type Place } from './owner-index.ts';

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';

/**
 * Removes objects whose owners are gone and carries out the propagation policies of deletions, in the order of the
 * changes. An owner that never existed counts as gone.
 */
export class GarbageCollector {
  readonly #registry: Registry;
  readonly #index = new OwnerIndex();

  constructor(registry: Registry) {
    this.#registry = registry;
    registry.store.subscribe((event) => this.#onEvent(event));
  }

  #onEvent({ type, collection, key, object, previous }: StoreEvent): void {
    const place = { collection, key };
    this.#index.track(place, type === 'DELETED' ? undefined : object, previous);
    const uid = object.metadata.uid ?? '';
    if (type === 'DELETED') {
      for (const dependent of this.#index.dependentsOf(uid)) this.#collect(dependent);
      for (const owner of object.metadata.ownerReferences ?? []) this.#finishForeground(owner.uid);
      return;
    }
    if (object.metadata.ownerReferences) this.#collect(place);
    if (object.metadata.deletionTimestamp !== undefined) this.#propagate(place, object);
  }

  #get({ collection, key }: Place): KubeObject | undefined {
    return this.#registry.store.get(collection, key);
  }

  /** Deletes an object without a living owner; takes references to dead owners off one that still has a living one. */
  #collect(place: Place): void {
    const object = this.#get(place);
    const owners = object?.metadata.ownerReferences ?? [];
    if (!object || owners.length === 0) return;
    const living = owners.filter(({ uid }) => this.#index.isAlive(uid));
    if (living.length === owners.length) return;
    if (living.length === 0) this.#delete(place, 'Background');
    else this.#change(place, { ...object.metadata, ownerReferences: living });
  }

  #propagate(place: Place, object: KubeObject): void {
    const finalizers = object.metadata.finalizers ?? [];
    const uid = object.metadata.uid ?? '';
    if (finalizers.includes(ORPHAN)) {
      for (const dependent of this.#index.dependentsOf(uid)) this.#disown(dependent, uid);
      this.#removeFinalizer(place, ORPHAN);
    }
    if (!finalizers.includes(FOREGROUND)) return;
    for (const dependent of this.#index.dependentsOf(uid)) {
      if (this.#get(dependent)?.metadata.deletionTimestamp === undefined) this.#deleteOwnedOnlyBy(dependent, uid);
    }
    this.#finishForeground(uid);
  }

  #deleteOwnedOnlyBy(place: Place, uid: string): void {
    const owners = this.#get(place)?.metadata.ownerReferences ?? [];
    const others = owners.filter((owner) => owner.uid !== uid && this.#index.isAlive(owner.uid));
    if (others.length > 0) {
      this.#disown(place, uid);
      return;
    }
    const dependents = this.#index.dependentsOf(this.#get(place)?.metadata.uid ?? '');
    this.#delete(place, dependents.length > 0 ? 'Foreground' : 'Background');
  }

  #disown(place: Place, uid: string): void {
    const object = this.#get(place);
    const kept = object?.metadata.ownerReferences?.filter((owner) => owner.uid !== uid) ?? [];
    if (object) this.#change(place, { ...object.metadata, ownerReferences: kept });
  }

  /** An owner that is deleted in the foreground goes once no dependent that blocks it is left. */
  #finishForeground(uid: string): void {
    const place = this.#index.placeOf(uid);
    const owner = place && this.#get(place);
    if (!place || !owner?.metadata.finalizers?.includes(FOREGROUND) || owner.metadata.deletionTimestamp === undefined)
      return;
    const isBlocked = this.#index.dependentsOf(uid).some((dependent) => {
      const references = this.#get(dependent)?.metadata.ownerReferences ?? [];
      return references.some((reference) => reference.uid === uid && reference.blockOwnerDeletion === true);
    });
    if (!isBlocked) this.#removeFinalizer(place, FOREGROUND);
  }

  #removeFinalizer(place: Place, name: string): void {
    const object = this.#get(place);
    if (!object) return;
    const finalizers = (object.metadata.finalizers ?? []).filter((one) => one !== name);
    this.#change(place, { ...object.metadata, finalizers });
  }

  #change({ collection }: Place, metadata: KubeObject['metadata']): void {
    const kind = this.#registry.kindOf(collection);
    const object = this.#registry.store.get(
      collection,
      metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`,
    );
    if (!kind || !object) return;
    const next = { ...metadata };
    if (next.ownerReferences?.length === 0) delete next.ownerReferences;
    if (next.finalizers?.length === 0) delete next.finalizers;
    save(this.#registry, kind, { ...object, metadata: next }, { isDryRun: false });
  }

  #delete({ collection, key }: Place, propagationPolicy: PropagationPolicy): void {
    const kind = this.#registry.kindOf(collection);
    if (!kind || !this.#registry.store.get(collection, key)) return;
    const options = { isDryRun: false, gracePeriodSeconds: undefined, propagationPolicy, preconditions: {} };
    deleteObject(this.#registry, kind, key, options);
  }
}

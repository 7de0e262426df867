import { CLEANUP_FINALIZER, CUSTOM_RESOURCE_DEFINITION } from '../builtin/custom-resource-definition.ts';
import { isSameJson, type KubeObject } from '../object.ts';
import { customKinds } from '../registry/custom-kind.ts';
import { deleteObject } from '../registry/delete.ts';
import type { Registry } from '../registry/registry.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { save } from '../registry/update.ts';
import type { StoreEvent } from '../store/store.ts';

const BACKGROUND = { isDryRun: false, gracePeriodSeconds: undefined, propagationPolicy: undefined, preconditions: {} };

/**
 * Serves what CustomResourceDefinitions define: from the moment they are stored, and until their deletion, which takes
 * their objects along. Runs inside the write that changes a definition.
 */
export class CustomResourceController {
  readonly #registry: Registry;
  readonly #served = new Map<string, ResourceKind[]>();

  constructor(registry: Registry) {
    this.#registry = registry;
    registry.store.subscribe((event) => this.#onEvent(event));
  }

  #onEvent(event: StoreEvent): void {
    if (event.collection === CUSTOM_RESOURCE_DEFINITION.collection) this.#onDefinition(event);
    else if (event.type === 'DELETED') this.#finishOwnerOf(event.collection);
  }

  #onDefinition({ type, key, object, previous }: StoreEvent): void {
    if (type === 'DELETED') {
      this.#withdraw(key);
      return;
    }
    const isSameService = isSameJson(object.spec, previous?.spec) && isSameJson(object.status, previous?.status);
    if (!isSameService) this.#serve(key, object);
    if (object.metadata.deletionTimestamp !== undefined) this.#empty(key, object);
  }

  #serve(key: string, crd: KubeObject): void {
    const kinds = customKinds(crd);
    this.#withdraw(key);
    for (const kind of kinds) this.#registry.install(kind);
    this.#served.set(key, kinds);
  }

  #withdraw(key: string): void {
    for (const kind of this.#served.get(key) ?? []) this.#registry.uninstall(kind);
    this.#served.delete(key);
  }

  /** Deletes all objects of the definition, then lets go of the definition itself. */
  #empty(key: string, crd: KubeObject): void {
    if (!crd.metadata.finalizers?.includes(CLEANUP_FINALIZER)) return;
    const [kind] = this.#served.get(key) ?? [];
    const { store } = this.#registry;
    if (kind) {
      for (const [objectKey] of store.list(kind.collection)) deleteObject(this.#registry, kind, objectKey, BACKGROUND);
      if (store.list(kind.collection).length > 0) return;
    }
    const current = store.get(CUSTOM_RESOURCE_DEFINITION.collection, key);
    if (!current?.metadata.finalizers?.includes(CLEANUP_FINALIZER)) return;
    const finalizers = current.metadata.finalizers.filter((name) => name !== CLEANUP_FINALIZER);
    const metadata = { ...current.metadata, finalizers };
    save(this.#registry, CUSTOM_RESOURCE_DEFINITION, { ...current, metadata }, BACKGROUND);
  }

  /** The last object of a definition that is being deleted may just have gone. */
  #finishOwnerOf(collection: string): void {
    for (const [key, [kind]] of this.#served) {
      if (kind?.collection !== collection) continue;
      const crd = this.#registry.store.get(CUSTOM_RESOURCE_DEFINITION.collection, key);
      if (crd?.metadata.deletionTimestamp !== undefined) this.#empty(key, crd);
      return;
    }
  }
}

import { NAMESPACE } from '../builtin/core.ts';
import { deleteObject } from '../registry/delete.ts';
import type { Registry } from '../registry/registry.ts';
import { objectAt } from '../object.ts';
import { save } from '../registry/update.ts';

/** There is no kubelet that would finish the deletion of a pod, so the emptying of a namespace does not wait for one. */
const AT_ONCE = { isDryRun: false, gracePeriodSeconds: 0, propagationPolicy: undefined, preconditions: {} };

/** Empties a namespace that is being deleted, then lets go of it. Objects with finalizers hold it up, as they should. */
export function runNamespaceController(registry: Registry): void {
  registry.store.subscribe(({ type, collection, object }) => {
    if (collection === NAMESPACE.collection) {
      if (type !== 'DELETED' && object.metadata.deletionTimestamp !== undefined) empty(registry, object.metadata.name);
    } else if (type === 'DELETED' && object.metadata.namespace !== undefined) {
      finish(registry, object.metadata.namespace);
    }
  });
}

function contentOf(registry: Registry, namespace: string): { collection: string; key: string }[] {
  const collections = new Set(registry.list().flatMap((kind) => (kind.isNamespaced ? [kind.collection] : [])));
  return [...collections].flatMap((collection) =>
    registry.store
      .list(collection)
      .filter(([, object]) => object.metadata.namespace === namespace)
      .map(([key]) => ({ collection, key })),
  );
}

function empty(registry: Registry, namespace: string): void {
  for (const { collection, key } of contentOf(registry, namespace)) {
    const kind = registry.kindOf(collection);
    if (kind) deleteObject(registry, kind, key, AT_ONCE);
  }
  finish(registry, namespace);
}

function finish(registry: Registry, name: string): void {
  const namespace = registry.store.get(NAMESPACE.collection, name);
  if (namespace?.metadata.deletionTimestamp === undefined) return;
  if (contentOf(registry, name).length > 0) return;
  const spec = { ...objectAt(namespace, 'spec'), finalizers: [] };
  save(registry, NAMESPACE, { ...namespace, spec }, AT_ONCE);
}

import { deleteObject, type DeleteOptions } from './delete.ts';
import type { ListOptions } from './list-options.ts';
import { listObjects, type ListResult } from './list.ts';
import type { Registry } from './registry.ts';
import { storeKey, type ResourceKind } from './resource-kind.ts';

/** Deletes all objects that the options select; returns those it deleted, as the list they were. */
export function deleteCollection(
  registry: Registry,
  { kind, namespace }: { kind: ResourceKind; namespace: string },
  selection: ListOptions,
  options: DeleteOptions,
): ListResult {
  const found = listObjects(registry, kind, namespace, selection);
  const items = found.items.map(({ metadata }) => {
    const key = storeKey(metadata.namespace ?? '', metadata.name);
    return deleteObject(registry, kind, key, options).object;
  });
  return { ...found, items };
}

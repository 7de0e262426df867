import { isJsonObject, type JsonObject } from '../schema/json-schema.ts';
import { FieldSet } from './field-set.ts';
import type { ManagedFieldsEntry } from './managed-fields-entry.ts';
import { managerKey, type Manager, type Managers } from './managers.ts';
import type { Comparison } from './value-comparison.ts';

/** Fields of each owner, but for `except`, that a change adds or modifies. */
export function contestedFields(managers: Managers, change: Comparison, except: string): Map<string, FieldSet> {
  const touched = change.added.union(change.modified);
  const contested = new Map<string, FieldSet>();
  for (const [key, manager] of managers) {
    const overlap = key === except ? new FieldSet() : manager.set.intersection(touched);
    if (!overlap.isEmpty) contested.set(key, overlap);
  }
  return contested;
}

/** Every owner but `except` loses what a change adds, modifies or removes; who owns nothing any more is forgotten. */
export function disown(managers: Managers, change: Comparison, except: string): Managers {
  const lost = change.added.union(change.modified).union(change.removed);
  const left: Managers = new Map();
  for (const [key, manager] of managers) {
    const set = key === except ? manager.set : manager.set.difference(lost);
    if (!set.isEmpty) left.set(key, { ...manager, set });
  }
  return left;
}

/** Puts one owner in place of its former entry. */
export function withManager(managers: Managers, manager: Manager): Managers {
  return new Map(managers).set(managerKey(manager), manager);
}

/** The object with that list of owners, and without the field when nobody owns anything. */
export function withManagedFields(object: JsonObject, entries: ManagedFieldsEntry[]): JsonObject {
  const metadata = isJsonObject(object['metadata']) ? { ...object['metadata'] } : {};
  delete metadata['managedFields'];
  if (entries.length > 0) metadata['managedFields'] = entries as unknown as JsonObject[];
  return { ...object, metadata };
}

/** What an endpoint does not change: the status endpoint leaves the spec alone, others may leave status alone. */
export function ignoredFields(subresource: string, ignored: readonly string[] = []): FieldSet {
  const set = new FieldSet();
  for (const name of [...ignored, ...(subresource === 'status' ? ['spec'] : [])]) set.insert([`f:${name}`]);
  return set;
}

import { isBuiltinSchema, type JsonObject } from '../schema/json-schema.ts';
import type { ManagedFieldsEntry, UpdateToTrack } from './managed-fields-entry.ts';
import { resourceSchema } from './merge-schema.ts';
import {
  asksForReset,
  formatManagers,
  managerKey,
  parseManagers,
  withoutServerFields,
  type Manager,
  type Managers,
} from './managers.ts';
import { disown, ignoredFields, withManagedFields, withManager } from './ownership.ts';
import { compareValues, withoutFields } from './value-comparison.ts';

/**
 * The `metadata.managedFields` to store with a create, update or patch: who made it owns what it added or changed, and
 * all others lose that and what it removed. An update that changes nothing changes no entry, its time neither.
 */
export function trackUpdate(update: UpdateToTrack): ManagedFieldsEntry[] {
  const stored = parseManagers(update.before);
  const managers = managersFor(update, stored);
  // An object whose owners are unknown stays so until somebody applies it: nobody would believe a list with one entry.
  if (update.before !== undefined && managers.size === 0) return [];
  return formatManagers(ownersAfter(update, managers));
}

function managersFor(update: UpdateToTrack, stored: Managers | undefined): Managers {
  const none: Managers = new Map();
  if (update.subresource !== '') return stored ?? none;
  if (asksForReset(update.after)) return none;
  const sent = parseManagers(update.after);
  return sent && sent.size > 0 ? sent : (stored ?? none);
}

/** The owners once the update is made; also used to give an object without owners one for all that it holds. */
export function ownersAfter(update: UpdateToTrack, managers: Managers): Managers {
  const schema = resourceSchema(update.schema);
  const before = withManagedFields(update.before ?? emptyObject(update), []);
  const ignored = ignoredFields(update.subresource, update.ignored);
  const change = withoutFields(compareValues(before, withManagedFields(update.after, []), schema), ignored);
  const others = disown(managers, change, '');
  const taken = withoutServerFields(change.added.union(change.modified));
  if (taken.isEmpty) return others;
  const { manager: name, operation, apiVersion, subresource, time } = update;
  const self: Manager = { name, operation, apiVersion, subresource, time, set: taken };
  const former = others.get(managerKey(self));
  return withManager(others, former ? { ...self, set: taken.union(former.set) } : self);
}

/** Built-in types have their top-level structs even when empty, so creating one does not add `spec` itself. */
function emptyObject(update: UpdateToTrack): JsonObject {
  if (!isBuiltinSchema(update.schema)) return { metadata: {} };
  return { metadata: {}, spec: {}, status: {} };
}

import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonObject, type JsonSchema } from '../schema/json-schema.ts';
import { formatPath, type FieldSet } from './field-set.ts';
import { fieldsOfLastApplied, updateLastApplied } from './last-applied.ts';
import { ownersAfter } from './managed-fields.ts';
import type { ApplyConflict, ApplyOutcome, ApplyRequest } from './managed-fields-entry.ts';
import {
  formatManagers,
  managerKey,
  parseManagers,
  withoutServerFields,
  type Manager,
  type Managers,
} from './managers.ts';
import { resourceSchema } from './merge-schema.ts';
import { contestedFields, disown, ignoredFields, withManagedFields, withManager } from './ownership.ts';
import { fieldSetOf, removeFields, withNamedParents } from './typed-value.ts';
import { compareValues, withoutFields } from './value-comparison.ts';
import { mergeValues } from './value-merge.ts';

/**
 * Merges an applied configuration into the live object: its fields win and become the manager's, fields that the manager
 * applied before and nobody else owns go. Without `force`, changing another manager's field is a conflict and nothing
 * else happens. The same configuration applied again gives back the live object, times included.
 */
export function serverSideApply(request: ApplyRequest): ApplyOutcome {
  const schema = resourceSchema(request.schema);
  const live = request.live ? withManagedFields(request.live, []) : undefined;
  const applied = withoutNullMetadata(request.applied);
  const ignored = ignoredFields(request.subresource, request.ignored);
  const before = ownersOfLive(request);
  const said = fieldSetOf(applied, schema);
  const self = applier(request, withoutServerFields(said).without(ignored));
  const last = before.get(managerKey(self));
  const owners = withManager(before, self);
  const merged = mergeValues(live ?? {}, removeFields(applied, ignored, schema), schema);
  const pruned = prune(merged, { last: last?.set, said, owners, schema });

  const base = live ?? emptyObject(applied);
  const change = withoutFields(compareValues(base, pruned, schema), ignored);
  const conflicts = conflictsOf(contestedFields(owners, change, managerKey(self)), owners, request);
  if (conflicts.length > 0) return { conflicts, message: conflictMessage(conflicts) };
  const object = updateLastApplied(pruned, request);
  const isUnchanged = isDeepStrictEqual(object, live) && last?.set.equals(self.set) === true;
  const time = isUnchanged ? last.time : request.time;
  const after = withManager(disown(owners, change, managerKey(self)), { ...self, time });
  return { object: withManagedFields(object, formatManagers(after)) };
}

function applier({ manager, apiVersion, subresource, time }: ApplyRequest, set: FieldSet): Manager {
  return { name: manager, operation: 'Apply', apiVersion, subresource, time, set };
}

/** An object that nobody tracked so far belongs to `before-first-apply`, so that applying over it is a conflict. */
function ownersOfLive(request: ApplyRequest): Managers {
  const stored = parseManagers(request.live) ?? new Map<string, Manager>();
  if (request.live === undefined || stored.size > 0) return stored;
  const { apiVersion, time, schema, live } = request;
  return ownersAfter(
    {
      before: undefined,
      after: live,
      manager: 'before-first-apply',
      operation: 'Update',
      apiVersion,
      time,
      schema,
      subresource: '',
    },
    new Map(),
  );
}

interface Pruning {
  readonly last: FieldSet | undefined;
  /** The new configuration with its name, which is not recorded but keeps metadata where it is. */
  readonly said: FieldSet;
  readonly owners: Managers;
  readonly schema: JsonSchema;
}

/**
 * Removes what the manager applied last time and no owner (its new configuration included) claims now. A struct of which
 * it applied fields goes as a whole when nobody owns anything in it, even if it holds defaults that nobody owns.
 */
function prune(merged: JsonObject, { last, said, owners, schema }: Pruning): JsonObject {
  if (!last || last.isEmpty) return merged;
  const named = (set: FieldSet): FieldSet => withNamedParents(set, merged, schema);
  const all = named(fieldSetOf(merged, schema));
  const applied = named(last);
  const owned = named([...owners.values()].reduce((sum, { set }) => sum.union(set), said));
  const unclaimed = removeFields(merged, applied, schema);
  const kept = named(fieldSetOf(unclaimed, schema)).union(owned);
  const withOwned = removeFields(merged, all.difference(kept), schema);
  const gone = all.difference(named(fieldSetOf(withOwned, schema)));
  return removeFields(merged, gone.intersection(applied), schema);
}

function conflictsOf(contested: Map<string, FieldSet>, owners: Managers, request: ApplyRequest): ApplyConflict[] {
  if (request.force || contested.size === 0) return [];
  const allowed = fieldsOfLastApplied(request, resourceSchema(request.schema));
  return [...contested].flatMap(([key, set]) => {
    const owner = owners.get(key) as Manager;
    const message = `conflict with ${describeManager(owner)}`;
    const paths = set.difference(allowed).paths();
    return paths.map((path) => ({ manager: owner.name, path: formatPath(path), message }));
  });
}

function describeManager({ name, operation, apiVersion, subresource }: Manager): string {
  const place = subresource === '' ? '' : ` with subresource "${subresource}"`;
  return `${JSON.stringify(name)}${place}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
}

function conflictMessage(conflicts: readonly ApplyConflict[]): string {
  const [first] = conflicts;
  if (first && conflicts.length === 1) return `Apply failed with 1 conflict: ${first.message}: ${first.path}`;
  const byManager = Map.groupBy(conflicts, ({ message }) => message.replace('conflict with', 'conflicts with'));
  const blocks = [...byManager].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = blocks.flatMap(([who, list]) => [`${who}:`, ...list.map(({ path }) => `- ${path}`)]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}

/** Generators like to write `creationTimestamp: null`, which in typed metadata is the same as saying nothing. */
function withoutNullMetadata(object: JsonObject): JsonObject {
  const metadata = object['metadata'];
  if (!isJsonObject(metadata)) return object;
  const entries = Object.entries(metadata).filter(([, value]) => value !== null);
  return { ...object, metadata: Object.fromEntries(entries) };
}

function emptyObject({ apiVersion = '', kind = '' }: JsonObject): JsonObject {
  return { apiVersion, kind, metadata: {} };
}

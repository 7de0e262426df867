import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, memberSchema, type JsonObject, type JsonSchema, type JsonValue } from '../schema/json-schema.ts';

const DIRECTIVE = '$patch';
const RETAIN_KEYS = '$retainKeys';
const ORDER = '$setElementOrder/';
const DELETE_PRIMITIVES = '$deleteFromPrimitiveList/';

/** A strategic merge patch that does not fit its own rules; the server answers 400 with the message. */
export class MalformedPatchError extends Error {
  override readonly name = 'MalformedPatchError';
}

/**
 * Merges a strategic merge patch for a built-in kind: lists merge by the merge key of their schema, or are replaced when
 * they have none. Understands `$patch`, `$retainKeys`, `$setElementOrder` and `$deleteFromPrimitiveList`; changes
 * neither argument. Throws MalformedPatchError.
 */
export function strategicMergePatch(object: JsonObject, patch: JsonObject, schema: JsonSchema): JsonObject {
  return mergeObjects(structuredClone(object), patch, schema);
}

function mergeObjects(object: JsonObject, patch: JsonObject, schema: JsonSchema): JsonObject {
  const directive = patch[DIRECTIVE];
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge')
    throw new MalformedPatchError(`Unknown patch type: ${JSON.stringify(directive)}`);

  const merged = retainKeys(object, patch);
  for (const [name, values] of Object.entries(patch)) {
    if (name.startsWith(DELETE_PRIMITIVES)) removePrimitives(merged, name.slice(DELETE_PRIMITIVES.length), values);
  }
  for (const [name, change] of Object.entries(patch)) {
    if (!name.startsWith('$')) mergeField(merged, { name, change, schema: fieldSchema(schema, name) });
  }
  for (const [name, order] of Object.entries(patch)) {
    if (!name.startsWith(ORDER)) continue;
    const field = name.slice(ORDER.length);
    sortList(merged, { name: field, order, schema: fieldSchema(schema, field) });
  }
  return merged;
}

/** `$retainKeys` lists all that stays of a struct of which only one variant may be set. */
function retainKeys(object: JsonObject, patch: JsonObject): JsonObject {
  const kept = patch[RETAIN_KEYS];
  if (kept === undefined) return object;
  if (!Array.isArray(kept)) throw new MalformedPatchError(`${RETAIN_KEYS} must be a list`);
  const stray = Object.keys(patch).find(
    (name) => !name.startsWith('$') && patch[name] !== null && !kept.includes(name),
  );
  if (stray !== undefined) throw new MalformedPatchError(`${RETAIN_KEYS} does not list ${stray}, which the patch sets`);
  return Object.fromEntries(Object.entries(object).filter(([name]) => kept.includes(name)));
}

interface FieldChange {
  readonly name: string;
  readonly change: JsonValue;
  readonly schema: JsonSchema;
}

function mergeField(object: JsonObject, { name, change, schema }: FieldChange): void {
  const present = Object.hasOwn(object, name) ? object[name] : undefined;
  if (change === null) {
    delete object[name];
  } else if (isJsonObject(change)) {
    object[name] = mergeObjects(isJsonObject(present) ? present : {}, change, schema);
  } else if (Array.isArray(change)) {
    object[name] = mergeLists(Array.isArray(present) ? present : [], change, schema);
  } else {
    object[name] = change;
  }
}

function merges(schema: JsonSchema): boolean {
  return (schema['x-kubernetes-patch-strategy'] ?? '').split(',').includes('merge');
}

function mergeLists(list: JsonValue[], patch: JsonValue[], schema: JsonSchema): JsonValue[] {
  if (!merges(schema)) return patch.map(withoutDirectivesBelow);
  const key = schema['x-kubernetes-patch-merge-key'];
  if (key === undefined) return [...list, ...patch.filter((item) => !list.includes(item))];
  const items = patch.map((item) => {
    if (isJsonObject(item)) return item;
    throw new MalformedPatchError(`an item of a list with merge key ${key} is not an object`);
  });
  const replaces = items.some((item) => item[DIRECTIVE] === 'replace');
  const merged = replaces ? [] : [...list];
  for (const item of items) mergeItem(merged, item, { key, schema: schema.items ?? {} });
  return merged;
}

function mergeItem(list: JsonValue[], item: JsonObject, { key, schema }: { key: string; schema: JsonSchema }): void {
  const isMarker = item[DIRECTIVE] === 'replace' && item[key] === undefined;
  if (isMarker) return;
  if (item[key] === undefined) {
    throw new MalformedPatchError(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
  }
  const at = list.findIndex((present) => isJsonObject(present) && isDeepStrictEqual(present[key], item[key]));
  if (item[DIRECTIVE] === 'delete') {
    if (at >= 0) list.splice(at, 1);
  } else if (at < 0 || item[DIRECTIVE] === 'replace') {
    list.splice(at < 0 ? list.length : at, at < 0 ? 0 : 1, mergeObjects({}, item, schema));
  } else {
    list[at] = mergeObjects(list[at] as JsonObject, item, schema);
  }
}

function removePrimitives(object: JsonObject, name: string, values: JsonValue): void {
  const list = object[name];
  if (!Array.isArray(values)) throw new MalformedPatchError(`${DELETE_PRIMITIVES}${name} must be a list`);
  if (Array.isArray(list)) object[name] = list.filter((item) => !values.includes(item));
}

interface FieldOrder {
  readonly name: string;
  readonly order: JsonValue;
  readonly schema: JsonSchema;
}

/** Items that the order names come in that order; others keep their place behind the item they followed. */
function sortList(object: JsonObject, { name, order, schema }: FieldOrder): void {
  const list = object[name];
  if (!Array.isArray(order)) throw new MalformedPatchError(`${ORDER}${name} must be a list`);
  if (!Array.isArray(list)) return;
  const key = schema['x-kubernetes-patch-merge-key'];
  const identity = (item: JsonValue): string =>
    JSON.stringify(key !== undefined && isJsonObject(item) ? item[key] : item);
  const wanted = order.map(identity);
  const ordered = list
    .filter((item) => wanted.includes(identity(item)))
    .sort((a, b) => wanted.indexOf(identity(a)) - wanted.indexOf(identity(b)));
  const result: JsonValue[] = [];
  let next = 0;
  for (const item of list) result.push(wanted.includes(identity(item)) ? (ordered[next++] as JsonValue) : item);
  object[name] = result;
}

function withoutDirectives(object: JsonObject): JsonObject {
  const fields = Object.entries(object).filter(([name, value]) => !name.startsWith('$') && value !== null);
  return Object.fromEntries(fields.map(([name, value]) => [name, withoutDirectivesBelow(value)]));
}

function withoutDirectivesBelow(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(withoutDirectivesBelow);
  return isJsonObject(value) ? withoutDirectives(value) : value;
}

function fieldSchema(schema: JsonSchema, name: string): JsonSchema {
  return schema.properties?.[name] ?? memberSchema(schema) ?? {};
}

import { childPath, indexPath } from './field-problem.ts';
import {
  isBuiltinSchema,
  isJsonObject,
  memberSchema,
  type JsonObject,
  type JsonSchema,
  type JsonValue,
} from './json-schema.ts';

/** Fields of every object's root, and of every embedded resource, that schemas need not name. */
const TYPE_AND_META = ['apiVersion', 'kind', 'metadata'];

/**
 * Removes the fields that the schema does not name and returns their dotted paths, lists included. `apiVersion`, `kind`
 * and `metadata` of the root stay as they are: the server itself decides about metadata. Nulls of built-in kinds go
 * silently, as in the real server's decoder.
 */
export function prune(object: JsonObject, schema: JsonSchema): string[] {
  const pruned: string[] = [];
  pruneObject(object, schema, { path: '', isResource: true, dropsNull: isBuiltinSchema(schema), pruned });
  return pruned;
}

interface Place {
  readonly path: string;
  readonly isResource: boolean;
  readonly dropsNull: boolean;
  readonly pruned: string[];
}

function pruneValue(value: JsonValue, schema: JsonSchema, place: Place): void {
  if (Array.isArray(value)) {
    const items = schema.items;
    if (!items) return;
    value.forEach((item, index) => {
      pruneValue(item, items, { ...place, path: indexPath(place.path, index), isResource: isEmbedded(items) });
    });
  } else if (isJsonObject(value)) {
    pruneObject(value, schema, { ...place, isResource: place.isResource || isEmbedded(schema) });
  }
}

function pruneObject(object: JsonObject, schema: JsonSchema, place: Place): void {
  const members = memberSchema(schema);
  const keepsUnknown = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true;
  for (const [name, value] of Object.entries(object)) {
    if (place.isResource && TYPE_AND_META.includes(name)) continue;
    const path = childPath(place.path, name);
    const property = ownProperty(schema, name) ?? members;
    if (property) {
      if (value === null && place.dropsNull) delete object[name];
      else pruneValue(value, property, { ...place, path, isResource: false });
    } else if (!keepsUnknown) {
      delete object[name];
      place.pruned.push(path);
    }
  }
}

function ownProperty(schema: JsonSchema, name: string): JsonSchema | undefined {
  return schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
}

function isEmbedded(schema: JsonSchema): boolean {
  return schema['x-kubernetes-embedded-resource'] === true;
}

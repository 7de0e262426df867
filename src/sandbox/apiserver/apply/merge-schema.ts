import { objectMetaSchema } from '../schema/builtin-schemas.ts';
import {
  isBuiltinSchema,
  isJsonObject,
  memberSchema,
  type JsonObject,
  type JsonSchema,
  type JsonValue,
} from '../schema/json-schema.ts';
import type { PathElement } from './field-set.ts';

/** How a value merges: field by field, item by item, or as a whole. */
export type Structure =
  | { readonly kind: 'map'; readonly field: (name: string) => JsonSchema; readonly isNamed: (name: string) => boolean }
  | { readonly kind: 'list'; readonly items: JsonSchema; readonly elementOf: (item: JsonValue) => PathElement }
  | { readonly kind: 'leaf' };

const UNKNOWN: JsonSchema = {};
const LEAF: Structure = { kind: 'leaf' };

/** The schema that applies to whole objects: custom resources leave out what every object has. */
export function resourceSchema(schema: JsonSchema): JsonSchema {
  if (isBuiltinSchema(schema)) return schema;
  const text: JsonSchema = { type: 'string' };
  return {
    ...schema,
    properties: { ...schema.properties, apiVersion: text, kind: text, metadata: objectMetaSchema() },
  };
}

/**
 * How a value of this schema merges in server-side apply. What has no schema merges field by field when it is an object
 * and as a whole when it is a list, like the real server's "deduced" types.
 */
export function structureOf(value: JsonValue, schema: JsonSchema): Structure {
  if (Array.isArray(value)) return listStructure(schema);
  if (typeof value !== 'object' || value === null || schema['x-kubernetes-map-type'] === 'atomic') return LEAF;
  const isNamed = (name: string): boolean => schema.properties !== undefined && Object.hasOwn(schema.properties, name);
  const members = memberSchema(schema) ?? UNKNOWN;
  return { kind: 'map', isNamed, field: (name) => (isNamed(name) ? (schema.properties?.[name] ?? UNKNOWN) : members) };
}

function listStructure(schema: JsonSchema): Structure {
  const items = schema.items ?? UNKNOWN;
  const type = schema['x-kubernetes-list-type'];
  if (type === 'set') return { kind: 'list', items, elementOf: (item) => `v:${JSON.stringify(item)}` };
  if (type !== 'map') return LEAF;
  const keys = [...(schema['x-kubernetes-list-map-keys'] ?? [])].sort();
  return { kind: 'list', items, elementOf: (item) => `k:${JSON.stringify(keyOf(item, keys, items))}` };
}

function keyOf(item: JsonValue, keys: readonly string[], items: JsonSchema): JsonObject {
  const key: JsonObject = {};
  for (const name of keys) {
    const value = (isJsonObject(item) ? item[name] : undefined) ?? items.properties?.[name]?.default;
    if (value !== undefined) key[name] = value;
  }
  return key;
}

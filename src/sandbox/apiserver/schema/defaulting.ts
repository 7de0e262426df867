import { isJsonObject, memberSchema, type JsonObject, type JsonSchema, type JsonValue } from './json-schema.ts';

/**
 * Fills in the schema's defaults, outside in: a default that creates an object is itself completed by the defaults of
 * its properties. An explicit null where null is not allowed but a default exists counts as absent.
 */
export function applyDefaults(object: JsonObject, schema: JsonSchema): void {
  defaultObject(object, schema);
}

function defaultValue(value: JsonValue, schema: JsonSchema): void {
  if (isJsonObject(value)) defaultObject(value, schema);
  else if (Array.isArray(value)) defaultItems(value, schema);
}

function defaultObject(object: JsonObject, schema: JsonSchema): void {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (needsDefault(Object.hasOwn(object, name) ? object[name] : undefined, property)) {
      object[name] = structuredClone(property.default as JsonValue);
    }
  }
  const members = memberSchema(schema);
  for (const [name, value] of Object.entries(object)) {
    const property = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : members;
    if (!property) continue;
    const filled = needsDefault(value, property) ? structuredClone(property.default as JsonValue) : value;
    object[name] = filled;
    defaultValue(filled, property);
  }
}

function defaultItems(list: JsonValue[], schema: JsonSchema): void {
  const items = schema.items;
  if (!items) return;
  list.forEach((item, index) => {
    const filled = needsDefault(item, items) ? structuredClone(items.default as JsonValue) : item;
    list[index] = filled;
    defaultValue(filled, items);
  });
}

function needsDefault(value: JsonValue | undefined, schema: JsonSchema): boolean {
  if (schema.default === undefined) return false;
  return value === undefined || (value === null && schema.nullable !== true);
}

/** Removes the nulls of fields that may not be null and have no default, in place: to say null is to say nothing. */
export function dropNulls(value: JsonValue, schema: JsonSchema): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) for (const item of value) dropNulls(item, items);
    return;
  }
  if (!isJsonObject(value)) return;
  const members = memberSchema(schema);
  for (const [name, field] of Object.entries(value)) {
    const property = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : members;
    if (!property) continue;
    if (field === null && property.nullable !== true && property.default === undefined) delete value[name];
    else dropNulls(field, property);
  }
}

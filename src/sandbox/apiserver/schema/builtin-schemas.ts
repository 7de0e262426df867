import { fieldMerging, typeMerging } from './builtin-list-types.ts';
import { definitionName, parseModelName } from './definition-name.ts';
import type { JsonSchema } from './json-schema.ts';
import { readModel, type ModelField } from './model-source.ts';

/** Kinds whose generated type is not simply the version and the kind. */
const MODEL_NAMES: Record<string, string> = {
  'v1 Event': 'CoreV1Event',
  'events.k8s.io/v1 Event': 'EventsV1Event',
};

/** Fields of the wire type `Quantity`, which the generated client calls strings. */
const QUANTITIES = new Set(['allocatable', 'capacity', 'divisor', 'hard', 'limits', 'requests', 'sizeLimit', 'used']);

/** Formats that mark the two wire types which are more than one JSON type. */
export const QUANTITY_FORMAT = 'quantity';
export const INT_OR_STRING_FORMAT = 'int-or-string';

const schemas = new Map<string, JsonSchema>();

/**
 * The schema of a built-in kind, undefined when the client library does not know the kind. Types are shared and may refer
 * to themselves: treat the result as constant and never serialise it (the OpenAPI documents break it into definitions).
 */
export function builtinSchema(apiVersion: string, kind: string): JsonSchema | undefined {
  const version = apiVersion.split('/').at(-1) ?? '';
  const name = MODEL_NAMES[`${apiVersion} ${kind}`] ?? `V${version.slice(1)}${kind}`;
  return readModel(name) === undefined ? undefined : modelSchema(name);
}

/** The schema of `metadata`, which custom resources share with built-in kinds. */
export function objectMetaSchema(): JsonSchema {
  return modelSchema('V1ObjectMeta');
}

/** The schema of a list's `metadata`. */
export function listMetaSchema(): JsonSchema {
  return modelSchema('V1ListMeta');
}

/** The generated type of that name, e.g. `V1DeleteOptions`; what the library does not know accepts anything. */
export function modelSchema(name: string): JsonSchema {
  const known = schemas.get(name);
  if (known) return known;
  const model = readModel(name);
  const schema: JsonSchema = { 'x-definition-name': definitionName(name), type: 'object' };
  schemas.set(name, schema);
  if (!model) return Object.assign(schema, { 'x-kubernetes-preserve-unknown-fields': true });
  const { type } = parseModelName(name);
  schema.description = model.description;
  schema.properties = Object.fromEntries(model.fields.map((field) => [field.name, fieldSchema(type, field)]));
  const required = model.fields.filter((field) => field.isRequired).map((field) => field.name);
  if (required.length > 0) schema.required = required;
  return Object.assign(schema, typeMerging(type));
}

function fieldSchema(type: string, field: ModelField): JsonSchema {
  const value = QUANTITIES.has(field.name) ? quantity(field) : valueSchema(field.type, field.format);
  const extra: JsonSchema = { ...fieldMerging(type, field.name) };
  if (field.description !== '') extra.description = field.description;
  return value['x-definition-name'] === undefined ? { ...value, ...extra } : specialise(value, extra);
}

/** A named type is shared (and may still be under construction), so what only one field says is laid over it. */
function specialise(shared: JsonSchema, extra: JsonSchema): JsonSchema {
  return Object.assign(Object.create(shared) as JsonSchema, extra);
}

/** The shared type that a schema of a field lays its description over; undefined for a schema without a name. */
export function definitionOf(schema: JsonSchema): JsonSchema | undefined {
  if (schema['x-definition-name'] === undefined) return undefined;
  return Object.hasOwn(schema, 'x-definition-name') ? schema : (Object.getPrototypeOf(schema) as JsonSchema);
}

function quantity(field: ModelField): JsonSchema {
  const one: JsonSchema = { format: QUANTITY_FORMAT, anyOf: [{ type: 'string' }, { type: 'number' }] };
  return field.type.startsWith('{') ? { type: 'object', additionalProperties: one } : one;
}

const SCALARS: Record<string, JsonSchema> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  Date: { type: 'string', format: 'date-time' },
  V1MicroTime: { type: 'string', format: 'date-time' },
  IntOrString: { format: INT_OR_STRING_FORMAT, 'x-kubernetes-int-or-string': true },
  any: { 'x-kubernetes-preserve-unknown-fields': true },
};

function valueSchema(type: string, format: string): JsonSchema {
  const list = /^Array<(.+)>$/.exec(type)?.[1];
  if (list !== undefined) return { type: 'array', items: valueSchema(list, format) };
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (map !== undefined) return { type: 'object', additionalProperties: valueSchema(map, format) };
  if (type === 'number') return { ...numberSchema(format) };
  const scalar = SCALARS[type];
  if (!scalar) return modelSchema(type);
  return { ...scalar, ...(format === 'byte' ? { format } : {}) };
}

function numberSchema(format: string): JsonSchema {
  return { type: format.startsWith('int') ? 'integer' : 'number', format };
}

import type { AnySchemaObject } from 'ajv';
import { isBuiltinSchema, memberSchema, type JsonSchema } from './json-schema.ts';

const SAME_IN_BOTH = [
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'multipleOf',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'required',
] as const satisfies readonly (keyof JsonSchema)[];

/**
 * The JSON Schema (draft 7) that says the same as the value validations of an OpenAPI v3 schema. Lists of problems come
 * out right only when errors below `anyOf`, `oneOf` and `not` are weighed by the caller. Cyclic schemas are allowed.
 */
export function toAjvSchema(schema: JsonSchema): AnySchemaObject {
  const definitions: Record<string, AnySchemaObject> = {};
  const references = new Map<string, string>();
  const root = convert(schema, { definitions, references, acceptsNull: isBuiltinSchema(schema) });
  return { ...root, definitions };
}

interface Conversion {
  readonly definitions: Record<string, AnySchemaObject>;
  readonly references: Map<string, string>;
  readonly acceptsNull: boolean;
}

/** Named (built-in) schemas become definitions, so that a cycle is a reference; all others are written out. */
function refer(schema: JsonSchema, conversion: Conversion): AnySchemaObject {
  const definition = schema['x-definition-name'];
  if (definition === undefined) return convert(schema, conversion);
  const known = conversion.references.get(definition);
  if (known !== undefined) return { $ref: known };
  const name = `d${conversion.references.size}`;
  const reference = `#/definitions/${name}`;
  conversion.references.set(definition, reference);
  conversion.definitions[name] = convert(schema, conversion);
  return { $ref: reference };
}

function convert(schema: JsonSchema, conversion: Conversion): AnySchemaObject {
  const converted: AnySchemaObject = {
    ...types(schema, conversion),
    ...bounds(schema),
    ...formats(schema),
  };
  for (const keyword of SAME_IN_BOTH) if (schema[keyword] !== undefined) converted[keyword] = schema[keyword];
  if (schema.properties) converted['properties'] = convertEach(schema.properties, conversion);
  const members = memberSchema(schema);
  if (members) converted['additionalProperties'] = refer(members, conversion);
  if (schema.items) converted['items'] = refer(schema.items, conversion);
  if (schema.not) converted['not'] = refer(schema.not, conversion);
  for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const) {
    const branches = schema[keyword];
    if (branches && branches.length > 0) converted[keyword] = branches.map((branch) => refer(branch, conversion));
  }
  return converted;
}

function formats(schema: JsonSchema): AnySchemaObject {
  const { format } = schema;
  if (format === undefined) return {};
  return format === 'int32' && !isBuiltinSchema(schema) ? { format, int32: true } : { format };
}

function convertEach(schemas: Record<string, JsonSchema>, conversion: Conversion): AnySchemaObject {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, refer(schema, conversion)]));
}

/** The types a value may have, in the words and the order that the real server lists them. */
export function acceptedTypes(schema: JsonSchema): string[] {
  if (schema['x-kubernetes-int-or-string'] === true) return ['integer', 'string'];
  return schema.type === undefined || schema.type === '' ? [] : [schema.type];
}

function types(schema: JsonSchema, { acceptsNull }: Conversion): AnySchemaObject {
  const accepted = acceptedTypes(schema);
  if (accepted.length === 0) return {};
  return { type: schema.nullable === true || acceptsNull ? [...accepted, 'null'] : accepted };
}

/** Draft 4's boolean exclusive bounds as numbers. */
function bounds(schema: JsonSchema): AnySchemaObject {
  const converted: AnySchemaObject = {};
  const { minimum, maximum } = schema;
  if (minimum !== undefined) converted[schema.exclusiveMinimum === true ? 'exclusiveMinimum' : 'minimum'] = minimum;
  if (maximum !== undefined) converted[schema.exclusiveMaximum === true ? 'exclusiveMaximum' : 'maximum'] = maximum;
  return converted;
}

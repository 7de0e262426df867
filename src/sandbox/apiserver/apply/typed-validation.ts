import { isJsonObject, memberSchema, type JsonObject, type JsonSchema, type JsonValue } from '../schema/json-schema.ts';
import { goSyntax, goText, goType } from './go-text.ts';

/** One reason why an object has no types to merge by, in the words of the real server. */
interface TypeProblem {
  readonly path: string;
  readonly message: string;
}

/**
 * Why an applied configuration of a custom resource cannot be merged: its values must be of the schema's types, its
 * fields be declared, and the items of its sets and keyed lists be told apart. Empty when it can.
 */
export function typeProblems(object: JsonObject, schema: JsonSchema): string[] {
  return problemsOf(object, schema, '').map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
}

function problemsOf(value: JsonValue, schema: JsonSchema, path: string): TypeProblem[] {
  if (value === null || schema['x-kubernetes-int-or-string'] === true) return [];
  if (schema.type === 'object' && isJsonObject(value)) return fieldProblems(value, schema, path);
  if (schema.type === 'array' && Array.isArray(value)) return itemProblems(value, schema, path);
  const message = EXPECTATIONS[schema.type ?? '']?.(value);
  return message === undefined ? [] : [{ path, message }];
}

type Expect = (value: JsonValue) => string | undefined;

const expectNumber: Expect = (value) =>
  typeof value === 'number' ? undefined : `expected numeric (int or float), got ${goType(value)}`;

/** What is wrong with a value of another type, by the type that the schema asks for. */
const EXPECTATIONS: Readonly<Record<string, Expect>> = {
  object: (value) => `expected map, got ${goText(value)}`,
  array: (value) => `expected list, got ${goText(value)}`,
  string: (value) => (typeof value === 'string' ? undefined : `expected string, got ${goSyntax(value)}`),
  boolean: (value) => (typeof value === 'boolean' ? undefined : `expected boolean, got ${goText(value)}`),
  integer: expectNumber,
  number: expectNumber,
};

/** What a map says of its fields; after the first one that nobody declared it looks no further. */
function fieldProblems(object: JsonObject, schema: JsonSchema, path: string): TypeProblem[] {
  const problems: TypeProblem[] = [];
  for (const [name, value] of Object.entries(object)) {
    const at = `${path}.${name}`;
    const isDeclared = schema.properties !== undefined && Object.hasOwn(schema.properties, name);
    const property = (isDeclared ? schema.properties?.[name] : undefined) ?? memberSchema(schema);
    if (property) problems.push(...problemsOf(value, property, at));
    else if (!keepsUnknown(schema)) return [...problems, { path: at, message: 'field not declared in schema' }];
  }
  return problems;
}

function keepsUnknown(schema: JsonSchema): boolean {
  return schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true;
}

/** What a list says of its items; after the first one that has no identity it looks no further. */
function itemProblems(list: readonly JsonValue[], schema: JsonSchema, path: string): TypeProblem[] {
  const items = schema.items ?? {};
  const identify = identifier(schema);
  const problems: TypeProblem[] = [];
  const seen = new Set<string>();
  for (const [index, item] of list.entries()) {
    const { element, refusal } = identify ? identify(item) : { element: `[${index}]` };
    if (refusal !== undefined) return [...problems, { path, message: `element ${index}: ${refusal}` }];
    if (seen.has(element)) problems.push({ path, message: `duplicate entries for key ${element}` });
    seen.add(element);
    problems.push(...problemsOf(item, items, `${path}${element}`));
  }
  return problems;
}

interface Identity {
  readonly element: string;
  readonly refusal?: string;
}

function identifier(schema: JsonSchema): ((item: JsonValue) => Identity) | undefined {
  const type = schema['x-kubernetes-list-type'];
  if (type === 'set') return identifySetItem;
  if (type !== 'map') return undefined;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  return (item) => identifyKeyedItem(item, keys, schema.items ?? {});
}

function identifySetItem(item: JsonValue): Identity {
  const refuse = (what: string): Identity => ({ element: '', refusal: what });
  if (item === null) return refuse("associative list without keys has an element that's an explicit null");
  if (Array.isArray(item)) return refuse('not supported: associative list with lists as elements');
  if (isJsonObject(item)) return refuse("associative list without keys has an element that's a map type");
  return { element: `[=${JSON.stringify(item)}]` };
}

function identifyKeyedItem(item: JsonValue, keys: readonly string[], items: JsonSchema): Identity {
  const refuse = (what: string): Identity => ({ element: '', refusal: `associative list with keys ${what}` });
  if (item === null) return refuse('may not have a null element');
  if (!isJsonObject(item)) return refuse('may not have non-map elements');
  const given = [...keys].sort().flatMap((key) => {
    const value = Object.hasOwn(item, key) ? item[key] : items.properties?.[key]?.default;
    return value === undefined ? [] : [`${key}=${JSON.stringify(value)}`];
  });
  const quoted = keys.map((key) => JSON.stringify(key)).join(' ');
  if (given.length === 0) {
    return refuse(
      `has an element that omits all key fields [${quoted}] (and doesn't have default values for any key fields)`,
    );
  }
  return { element: `[${given.join(',')}]` };
}

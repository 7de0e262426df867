import type { Environment } from '@marcbachmann/cel-js';
import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, memberSchema, type JsonObject, type JsonSchema, type JsonValue } from '../json-schema.ts';
import { escapePropertyName } from './property-name.ts';

/** A CEL type and how JSON becomes a value of it. */
export interface DeclaredType {
  readonly name: string;
  readonly toValue: (value: JsonValue) => unknown;
}

const DYNAMIC: DeclaredType = { name: 'dyn', toValue: toDynamic };

const SCALARS: Record<string, DeclaredType> = {
  string: { name: 'string', toValue: (value) => value },
  boolean: { name: 'bool', toValue: (value) => value },
  integer: { name: 'int', toValue: (value) => BigInt(value as number) },
  number: { name: 'double', toValue: (value) => value },
};

/** Declares the types that rules at this schema see; undefined where rules cannot look (open objects without fields). */
export class TypeDeclarations {
  readonly #environment: Environment;
  #count = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  declare(schema: JsonSchema, isRoot: boolean): DeclaredType | undefined {
    const declared = this.#declareNonNull(isRoot ? withObjectMeta(schema) : schema);
    // Nothing but dyn can hold null beside its values.
    return declared && schema.nullable === true ? { ...declared, name: 'dyn', toValue: orNull(declared) } : declared;
  }

  #declareNonNull(schema: JsonSchema): DeclaredType | undefined {
    if (schema['x-kubernetes-int-or-string'] === true) return DYNAMIC;
    if (schema.type === 'array') return this.#declareList(schema);
    if (schema.type === 'object') return this.#declareObject(schema);
    if (schema.type === 'string') return this.#declareString(schema.format);
    return SCALARS[schema.type ?? ''];
  }

  #declareString(format: string | undefined): DeclaredType | undefined {
    const convert = (name: string, expression: string): DeclaredType => {
      const evaluate = this.#environment.parse(expression);
      return { name, toValue: (value) => evaluate({ text: value }) as unknown };
    };
    if (format === 'date-time') return convert('google.protobuf.Timestamp', 'timestamp(text)');
    if (format === 'date') return convert('google.protobuf.Timestamp', "timestamp(text + 'T00:00:00Z')");
    if (format === 'duration') return convert('google.protobuf.Duration', 'duration(text)');
    if (format === 'byte') return { name: 'bytes', toValue: (value) => Buffer.from(value as string, 'base64') };
    return SCALARS['string'];
  }

  #declareList(schema: JsonSchema): DeclaredType | undefined {
    const items = schema.items && this.declare(schema.items, schema.items['x-kubernetes-embedded-resource'] === true);
    if (!items) return undefined;
    const toValues = (value: JsonValue): unknown[] => (value as JsonValue[]).map((item) => items.toValue(item));
    const isSet = schema['x-kubernetes-list-type'] === 'set';
    return { name: `list<${items.name}>`, toValue: isSet ? (value) => new Set(toValues(value)) : toValues };
  }

  #declareObject(schema: JsonSchema): DeclaredType | undefined {
    const members = memberSchema(schema);
    if (members) return this.#declareMap(members);
    if (!schema.properties && schema['x-kubernetes-preserve-unknown-fields'] === true) return undefined;
    const fields = new Map<string, { field: string; type: DeclaredType }>();
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const field = escapePropertyName(name);
      const type = field === undefined ? undefined : this.declare(property, isEmbedded(property));
      if (field !== undefined && type) fields.set(name, { field, type });
    }
    return this.#declareStruct(fields);
  }

  #declareMap(members: JsonSchema): DeclaredType | undefined {
    const type = this.declare(members, isEmbedded(members));
    if (!type) return undefined;
    const toValue = (value: JsonValue): unknown =>
      new Map(Object.entries(value as JsonObject).map(([key, member]) => [key, type.toValue(member)]));
    return { name: `map<string, ${type.name}>`, toValue };
  }

  #declareStruct(fields: ReadonlyMap<string, { field: string; type: DeclaredType }>): DeclaredType {
    // The library tells types apart by constructor, so every struct has one; unset fields are not there.
    const Struct = class {
      [field: string]: unknown;
    };
    const name = `Struct${(this.#count += 1)}`;
    const declared = Object.fromEntries([...fields.values()].map(({ field, type }) => [field, type.name]));
    this.#environment.registerType(name, { ctor: Struct, fields: declared });
    // Durations hide what they are from a deep comparison, so structs compare by the JSON they were made of.
    const sources = new WeakMap<object, JsonValue>();
    const areEqual = (a: object, b: object): boolean => isDeepStrictEqual(sources.get(a), sources.get(b));
    this.#environment.registerOperator(`${name} == ${name}`, areEqual);
    const toValue = (value: JsonValue): unknown => {
      const struct = new Struct();
      sources.set(struct, value);
      for (const [property, { field, type }] of fields) {
        const member = (value as JsonObject)[property];
        if (member !== undefined) struct[field] = type.toValue(member);
      }
      return struct;
    };
    return { name, toValue };
  }
}

function isEmbedded(schema: JsonSchema): boolean {
  return schema['x-kubernetes-embedded-resource'] === true;
}

/** Of metadata, rules see only what identifies an object. */
function withObjectMeta(schema: JsonSchema): JsonSchema {
  const text: JsonSchema = { type: 'string' };
  const metadata: JsonSchema = { type: 'object', properties: { name: text, generateName: text } };
  return { ...schema, properties: { ...schema.properties, apiVersion: text, kind: text, metadata } };
}

function orNull(type: DeclaredType): DeclaredType['toValue'] {
  return (value) => (value === null ? null : type.toValue(value));
}

/** JSON as values of the type dyn. */
export function toDynamic(value: JsonValue): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toDynamic);
  if (!isJsonObject(value)) return value;
  return new Map(Object.entries(value).map(([key, member]) => [key, toDynamic(member)]));
}

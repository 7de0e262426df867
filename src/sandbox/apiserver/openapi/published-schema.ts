import { definitionOf, INT_OR_STRING_FORMAT, QUANTITY_FORMAT } from '../schema/builtin-schemas.ts';
import { memberSchema, type JsonObject, type JsonSchema, type JsonValue } from '../schema/json-schema.ts';

/** OpenAPI v2 and v3 say the same in different words. */
export interface Dialect {
  readonly version: 2 | 3;
  /** What precedes the name of a definition in a `$ref`. */
  readonly refPrefix: string;
}

export const V2: Dialect = { version: 2, refPrefix: '#/definitions/' };
export const V3: Dialect = { version: 3, refPrefix: '#/components/schemas/' };

const COPIED = [
  'title',
  'description',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'required',
  'format',
  'type',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-patch-strategy',
  'x-kubernetes-patch-merge-key',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-int-or-string',
  'x-kubernetes-validations',
] as const satisfies readonly (keyof JsonSchema)[];

/** The definitions of one document, by name; named types are added as they are met. */
export class Definitions {
  readonly #dialect: Dialect;
  readonly #definitions = new Map<string, JsonObject>();

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  add(name: string, definition: JsonObject): void {
    this.#definitions.set(name, definition);
  }

  reference(name: string): JsonObject {
    return { $ref: `${this.#dialect.refPrefix}${name}` };
  }

  /** The schema as this document says it; named types become references to definitions. */
  publish(schema: JsonSchema): JsonObject {
    const shared = definitionOf(schema);
    if (!shared) return this.#write(schema);
    const name = shared['x-definition-name'] as string;
    if (!this.#definitions.has(name)) {
      this.#definitions.set(name, {});
      this.#definitions.set(name, this.#write(shared));
    }
    return this.#describeReference(name, schema === shared ? {} : schema);
  }

  toJson(): JsonObject {
    const sorted = [...this.#definitions].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted);
  }

  /** v3 forbids anything next to a `$ref`. */
  #describeReference(name: string, over: JsonSchema): JsonObject {
    const own = copy(over, (keyword) => Object.hasOwn(over, keyword));
    const reference = this.reference(name);
    if (this.#dialect.version === 2 || Object.keys(own).length === 0) return { ...own, ...reference };
    return { ...own, allOf: [reference] };
  }

  #write(schema: JsonSchema): JsonObject {
    const special = wireType(schema, this.#dialect);
    if (special) return special;
    const published = copy(schema, () => true);
    const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true;
    // A v2 reader refuses unknown fields of a struct, so an open struct has to be published as a free-form object.
    if (schema.properties && !(isOpen && this.#dialect.version === 2)) {
      published['properties'] = mapValues(schema.properties, (property) => this.publish(property));
    }
    const members = memberSchema(schema);
    if (members) published['additionalProperties'] = this.publish(members);
    else if (schema.additionalProperties === true) published['additionalProperties'] = true;
    if (schema.items) published['items'] = this.publish(schema.items);
    if (this.#dialect.version === 3) this.#writeLogic(schema, published);
    return published;
  }

  /** Only v3 has the logical operators and null. */
  #writeLogic(schema: JsonSchema, published: JsonObject): void {
    for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const) {
      const branches = schema[keyword];
      if (branches) published[keyword] = branches.map((branch) => this.publish(branch));
    }
    if (schema.not) published['not'] = this.publish(schema.not);
    if (schema.nullable === true) published['nullable'] = true;
  }
}

const INT_OR_STRING: JsonObject[] = [{ type: 'integer' }, { type: 'string' }];
const QUANTITY: JsonObject[] = [{ type: 'string' }, { type: 'number' }];

/** The built-in wire types that are more than one JSON type: v2 can only call them strings. */
function wireType(schema: JsonSchema, { version }: Dialect): JsonObject | undefined {
  const description: JsonObject = schema.description === undefined ? {} : { description: schema.description };
  if (schema.format === INT_OR_STRING_FORMAT) {
    return {
      ...description,
      format: schema.format,
      ...(version === 2 ? { type: 'string' } : { oneOf: INT_OR_STRING }),
    };
  }
  if (schema.format === QUANTITY_FORMAT) {
    return { ...description, ...(version === 2 ? { type: 'string' } : { oneOf: QUANTITY }) };
  }
  return undefined;
}

function copy(schema: JsonSchema, isWanted: (keyword: string) => boolean): JsonObject {
  const copied: JsonObject = {};
  for (const keyword of COPIED) {
    if (schema[keyword] !== undefined && isWanted(keyword)) copied[keyword] = schema[keyword] as JsonValue;
  }
  return copied;
}

function mapValues<T, U>(record: Record<string, T>, transform: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, transform(value)]));
}

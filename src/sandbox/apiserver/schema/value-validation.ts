import { Ajv, type ErrorObject } from 'ajv';
import { toAjvSchema } from './ajv-schema.ts';
import {
  invalidType,
  invalidValue,
  requiredValue,
  tooLong,
  tooMany,
  unsupportedValue,
  childPath,
  indexPath,
  type FieldProblem,
} from './field-problem.ts';
import { STRING_FORMATS } from './formats.ts';
import type { JsonObject, JsonSchema, JsonValue } from './json-schema.ts';

/** A problem and where it is: the keys that lead from the object to the value that the failed schema describes. */
export interface LocatedProblem {
  readonly problem: FieldProblem;
  readonly location: readonly string[];
}

/**
 * A schema that was refused by the CRD validation never gets here, so `strict` would only forbid our own keywords, and the
 * check against the meta-schema would take most of the time. Each schema is compiled for few objects: what V8 makes of the
 * code is good enough.
 */
const ajv = new Ajv({
  allErrors: true,
  verbose: true,
  strict: false,
  validateSchema: false,
  unicodeRegExp: false,
  logger: false,
  code: { optimize: false },
});
for (const [name, isValid] of Object.entries(STRING_FORMATS)) ajv.addFormat(name, isValid);

/** Compiles the OpenAPI value validations; the returned function reports every problem, in schema order. */
export function compileValueValidation(schema: JsonSchema): (object: JsonObject) => LocatedProblem[] {
  const translated = toAjvSchema(schema);
  const validate = ajv.compile(translated);
  // Who compiled it keeps it: the library would for ever.
  ajv.removeSchema(translated);
  return (object) => {
    if (validate(object)) return [];
    return relevantErrors(validate.errors ?? []).map((error) => locate(error, object));
  };
}

/** Of each failed `anyOf` and `oneOf` only the branch that came closest counts, as in the real server. */
function relevantErrors(errors: ErrorObject[]): ErrorObject[] {
  const hidden = new Set<ErrorObject>();
  for (const choice of errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf')) {
    const branches = new Map<string, ErrorObject[]>();
    for (const error of errors) {
      const branch = branchOf(error, choice);
      if (branch !== undefined) branches.set(branch, [...(branches.get(branch) ?? []), error]);
    }
    const isAmbiguous = choice.keyword === 'oneOf' && choice.params['passingSchemas'] !== null;
    const closest = isAmbiguous ? undefined : [...branches.values()].sort((a, b) => distance(a) - distance(b))[0];
    for (const branch of branches.values()) {
      if (branch !== closest) for (const error of branch) hidden.add(error);
    }
  }
  return errors.filter((error) => !hidden.has(error));
}

/** A branch whose type does not fit is further off than one with other problems. */
function distance(errors: ErrorObject[]): number {
  return errors.length + 1000 * errors.filter(({ keyword }) => keyword === 'type').length;
}

function branchOf(error: ErrorObject, choice: ErrorObject): string | undefined {
  if (error === choice || !error.instancePath.startsWith(choice.instancePath)) return undefined;
  const prefix = `${choice.schemaPath}/`;
  return error.schemaPath.startsWith(prefix) ? error.schemaPath.slice(prefix.length).split('/')[0] : undefined;
}

function locate(error: ErrorObject, object: JsonObject): LocatedProblem {
  const location = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return { location, problem: describe(error, fieldPath(location, object)) };
}

/** Map keys are written like fields, list positions in brackets. */
function fieldPath(location: readonly string[], object: JsonObject): string {
  let path = '';
  let value: JsonValue | undefined = object;
  for (const key of location) {
    path = Array.isArray(value) ? indexPath(path, key) : childPath(path, key);
    value = (value as Record<string, JsonValue>)[key];
  }
  return path;
}

/** How many values of the kind that the problem is about there are. */
function sizeOf(data: unknown): number {
  return Array.isArray(data) ? data.length : Object.keys(data as object).length;
}

type Describe = (error: ErrorObject, path: string) => FieldProblem;

const DESCRIPTIONS: Record<string, Describe> = {
  required: ({ params }, path) => requiredValue(childPath(path, params['missingProperty'] as string)),
  enum: ({ data, schema }, path) => unsupportedValue(path, data as JsonValue, schema as JsonValue[]),
  maxLength: ({ schema }, path) => tooLong(path, schema as number),
  maxItems: ({ data, schema }, path) => tooMany(path, sizeOf(data), schema as number),
  maxProperties: ({ data, schema }, path) => tooMany(path, sizeOf(data), schema as number),
  type: ({ data, schema }, path) => {
    const actual = typeName(data as JsonValue);
    const accepted = (schema as string[]).filter((type) => type !== 'null').join(',');
    return invalidType(path, actual, `${path} in body must be of type ${accepted}: "${actual}"`);
  },
  format: ({ data, schema }, path) =>
    invalidType(
      path,
      data as JsonValue,
      `${path} in body must be of type ${schema as string}: ${JSON.stringify(data)}`,
    ),
  minLength: should((limit) => `be at least ${limit} chars long`),
  pattern: should((pattern) => `match '${pattern}'`),
  minimum: should((limit) => `be greater than or equal to ${limit}`),
  maximum: should((limit) => `be less than or equal to ${limit}`),
  exclusiveMinimum: should((limit) => `be greater than ${limit}`),
  exclusiveMaximum: should((limit) => `be less than ${limit}`),
  multipleOf: should((factor) => `be a multiple of ${factor}`),
  minItems: ({ data, schema }, path) =>
    invalidValue(path, sizeOf(data), `${path} in body should have at least ${schema as number} items`),
  minProperties: ({ data, schema }, path) =>
    invalidValue(path, sizeOf(data), `${path} in body should have at least ${schema as number} properties`),
  uniqueItems: (_error, path) => invalidValue(path, '', `${path} in body shouldn't contain duplicates`),
  anyOf: (_error, path) => invalidValue('', '', `"${path}" must validate at least one schema (anyOf)`),
  not: (_error, path) => invalidValue('', '', `"${path}" must not validate the schema (not)`),
  oneOf: ({ params }, path) => {
    const found = params['passingSchemas'] === null ? 'none valid' : '2 valid alternatives';
    return invalidValue('', '', `"${path}" must validate one and only one schema (oneOf). Found ${found}`);
  },
};

function should(wording: (limit: string) => string): Describe {
  return ({ data, schema }, path) =>
    invalidValue(path, data as JsonValue, `${path} in body should ${wording(String(schema))}`);
}

function describe(error: ErrorObject, path: string): FieldProblem {
  const known = DESCRIPTIONS[error.keyword];
  return known ? known(error, path) : invalidValue(path, error.data as JsonValue, error.message ?? error.keyword);
}

function typeName(value: JsonValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

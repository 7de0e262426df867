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
ajv.addKeyword({
  keyword: 'int32',
  type: 'number',
  validate: (_wanted: true, data: number) => (data | 0) === data || !Number.isInteger(data),
});

/** Compiles the OpenAPI value validations; the returned function reports every problem, in schema order. */
export function compileValueValidation(schema: JsonSchema): (object: JsonObject) => LocatedProblem[] {
  const translated = toAjvSchema(schema);
  const validate = ajv.compile(translated);
  // Who compiled it keeps it: the library would for ever.
  ajv.removeSchema(translated);
  return (object) => {
    if (validate(object)) return [];
    return inOrder(relevantErrors(validate.errors ?? [])).flatMap((error) => locate(error, object));
  };
}

/** Of one value's bounds of text only the first that is broken is told; a null that may not be is told as such only. */
const TEXT_BOUNDS: readonly string[] = ['maxLength', 'minLength', 'pattern'];

/** The order and the choice of the real server: a value's type, then its alternatives with their problems, then the rest. */
function inOrder(errors: readonly ErrorObject[]): ErrorObject[] {
  const kept = errors.filter((error) => !errors.some((other) => silences(other, error)));
  const choices = kept.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf');
  for (const choice of choices.reverse()) {
    const first = kept.findIndex((error) => error === choice || branchOf(error, choice) !== undefined);
    kept.splice(kept.indexOf(choice), 1);
    kept.splice(first, 0, choice);
    const type = kept.findIndex((error) => isTypeOf(error, choice));
    if (type > first) kept.splice(first, 0, ...kept.splice(type, 1));
  }
  return kept;
}

function isTypeOf(error: ErrorObject, choice: ErrorObject): boolean {
  return (
    error.keyword === 'type' &&
    error.instancePath === choice.instancePath &&
    branchOf(error, choice) === undefined &&
    error.parentSchema === choice.parentSchema
  );
}

function silences(other: ErrorObject, error: ErrorObject): boolean {
  if (other === error || other.instancePath !== error.instancePath) return false;
  if (other.keyword === 'type' && other.data === null) return !['type', 'enum'].includes(error.keyword);
  const [mine, its] = [TEXT_BOUNDS.indexOf(error.keyword), TEXT_BOUNDS.indexOf(other.keyword)];
  return its >= 0 && its < mine && other.parentSchema === error.parentSchema;
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

function locate(error: ErrorObject, object: JsonObject): LocatedProblem[] {
  const location = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const path = fieldPath(location, object);
  return [describe(error, path), ...wholeNumberProblem(error, path)].map((problem) => ({ location, problem }));
}

/** What the real server says besides of a fraction where it wants a whole number. */
function wholeNumberProblem({ keyword, data, parentSchema }: ErrorObject, path: string): FieldProblem[] {
  if (keyword !== 'type' || typeof data !== 'number') return [];
  const { format, type } = (parentSchema ?? {}) as { format?: string; type?: string[] };
  if (type?.includes('integer') !== true) return [];
  const wanted = format === undefined ? 'integer (default format)' : `integer with format ${format}`;
  return [invalidValue('', '', `Checked value must be of type ${wanted} in ${path}`)];
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
  type: ({ data, schema, parentSchema }, path) => {
    const numeric = numericProblem(data as JsonValue, parentSchema as JsonSchema, path);
    if (numeric) return numeric;
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
  int32: (_error, path) => invalidValue('', '', `Checked value must be of type integer with format int32 in ${path}`),
  anyOf: (_error, path) => invalidValue('', '', `"${path}" must validate at least one schema (anyOf)`),
  not: (_error, path) => invalidValue('', '', `"${path}" must not validate the schema (not)`),
  oneOf: ({ params, schema, data }, path) => {
    const found =
      params['passingSchemas'] === null ? 'none valid' : `${passing(schema as object[], data)} valid alternatives`;
    return invalidValue('', '', `"${path}" must validate one and only one schema (oneOf). Found ${found}`);
  },
};

/** Where numbers have a format the real server speaks of that, and of text and lists as elsewhere. */
function numericProblem(data: JsonValue, { format }: JsonSchema, path: string): FieldProblem | undefined {
  if (format === undefined || data === null || typeof data === 'string' || Array.isArray(data)) return undefined;
  if (STRING_FORMATS[format]) return undefined;
  const actual = typeof data === 'number' ? 'float64' : '';
  return invalidType(path, actual, `${path} in body must be of type ${format}: "${actual}"`);
}

function should(wording: (limit: string) => string): Describe {
  return ({ data, schema }, path) =>
    invalidValue(path, data as JsonValue, `${path} in body should ${wording(String(schema))}`);
}

function describe(error: ErrorObject, path: string): FieldProblem {
  const known = DESCRIPTIONS[error.keyword];
  return known ? known(error, path) : invalidValue(path, error.data as JsonValue, error.message ?? error.keyword);
}

/** How many of the branches accept the value; the validation itself stops counting at two. */
function passing(branches: readonly object[], data: unknown): number {
  return branches.filter((branch) => {
    const accepts = ajv.compile(branch);
    ajv.removeSchema(branch);
    return accepts(data);
  }).length;
}

function typeName(value: JsonValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? 'integer' : 'number';
  return typeof value;
}

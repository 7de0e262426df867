import { compileRules, validateRules, type RuleTree } from './cel/rule-validation.ts';
import { correlate, correlateRoot, NEW_OBJECT, type Correlation } from './correlation.ts';
import { applyDefaults, dropNulls } from './defaulting.ts';
import { invalidValue, type FieldProblem, type FieldReason } from './field-problem.ts';
import { isBuiltinSchema, memberSchema, type JsonObject, type JsonSchema, type JsonValue } from './json-schema.ts';
import { validateLists } from './list-validation.ts';
import { prune } from './pruning.ts';
import { compileValueValidation, type LocatedProblem } from './value-validation.ts';

export interface CompiledSchema {
  /** Removes what the schema does not know, in place; returns the dotted paths of what it removed. */
  prune(object: JsonObject): string[];
  /** Removes nulls that mean nothing, in place. */
  dropNulls(object: JsonObject): void;
  /** Fills in the schema's defaults, in place. */
  applyDefaults(object: JsonObject): void;
  /**
   * Every problem of the object (its metadata is the server's business). With `old`, the stored object that `object`
   * replaces, transition rules run too, and problems of values that did not change are not held against the update.
   */
  validate(object: JsonObject, old?: JsonObject): FieldProblem[];
}

/** Rules are not run on objects that are wrong in one of these ways: they could trip over it. */
const BLOCKING: readonly FieldReason[] = [
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
];

/** Compiles a schema that passed the CRD validation, or one from `builtinSchema`. Keep the result: compiling is slow. */
export function compileSchema(openAPIV3Schema: JsonSchema): CompiledSchema {
  const validateValues = compileValueValidation(openAPIV3Schema);
  const rules = isBuiltinSchema(openAPIV3Schema) ? undefined : compileRules(openAPIV3Schema, true);
  return {
    prune: (object) => prune(object, openAPIV3Schema),
    dropNulls: (object) => dropNulls(object, openAPIV3Schema),
    applyDefaults: (object) => applyDefaults(object, openAPIV3Schema),
    validate(object, old) {
      const correlation = correlateRoot(object, old);
      const located = [...validateValues(object), ...validateLists(object, openAPIV3Schema)];
      const problems = located
        .filter(
          (problem) => old === undefined || !isRatcheted(problem, object, { schema: openAPIV3Schema, correlation }),
        )
        .map(({ problem }) => problem);
      return [...problems, ...ruleProblems(rules, problems, { object, correlation: old ? correlation : NEW_OBJECT })];
    },
  };
}

/** Whether the value that a problem is about, or one around it, is stored like that already. */
function isRatcheted(
  { location }: LocatedProblem,
  object: JsonObject,
  root: { schema: JsonSchema; correlation: Correlation },
): boolean {
  let { schema, correlation } = root;
  let value: JsonValue = object;
  for (const name of location) {
    const key: string | number = Array.isArray(value) ? Number(name) : name;
    correlation = correlate(value, key, { schema, correlation });
    schema = (Array.isArray(value) ? schema.items : (schema.properties?.[name] ?? memberSchema(schema))) ?? {};
    value = (value as Record<string | number, JsonValue>)[key] ?? null;
  }
  return correlation.isUnchanged;
}

function ruleProblems(
  rules: RuleTree | undefined,
  problems: readonly FieldProblem[],
  { object, correlation }: { object: JsonObject; correlation: Correlation },
): FieldProblem[] {
  if (!rules) return [];
  if (!problems.some(({ reason }) => BLOCKING.includes(reason))) {
    return validateRules(rules, { value: object, path: '', correlation });
  }
  const skipped =
    'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';
  return [invalidValue('', null, skipped)];
}

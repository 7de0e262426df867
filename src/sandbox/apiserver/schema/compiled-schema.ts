import { applyDefaults } from './defaulting.ts';
import type { FieldProblem } from './field-problem.ts';
import type { JsonObject, JsonSchema } from './json-schema.ts';
import { prune } from './pruning.ts';
import { compileValueValidation } from './value-validation.ts';

export interface CompiledSchema {
  /** Removes what the schema does not know, in place; returns the dotted paths of what it removed. */
  prune(object: JsonObject): string[];
  /** Fills in the schema's defaults, in place. */
  applyDefaults(object: JsonObject): void;
  /**
   * Every problem of the object (its metadata is the server's business). With `old`, the stored object that `object`
   * replaces, transition rules run too, and problems of values that did not change are not held against the update.
   */
  validate(object: JsonObject, old?: JsonObject): FieldProblem[];
}

/** Compiles a schema that passed the CRD validation, or one from `builtinSchema`. Keep the result: compiling is slow. */
export function compileSchema(openAPIV3Schema: JsonSchema): CompiledSchema {
  const validateValues = compileValueValidation(openAPIV3Schema);
  return {
    prune: (object) => prune(object, openAPIV3Schema),
    applyDefaults: (object) => applyDefaults(object, openAPIV3Schema),
    validate: (object) => validateValues(object).map(({ problem }) => problem),
  };
}

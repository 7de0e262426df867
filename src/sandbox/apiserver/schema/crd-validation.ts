import type { FieldProblem } from './field-problem.ts';
import type { JsonObject } from './json-schema.ts';

/** Placeholder until the real module lands. */
export function validateCustomResourceDefinition(_crd: JsonObject): FieldProblem[] {
  return [];
}

import type { RuleTree } from './cel/rule-validation.ts';
import { childPath, indexPath, invalidValue, type FieldProblem } from './field-problem.ts';
import { memberSchema, type JsonSchema, type JsonValue } from './json-schema.ts';

/** Reports rules, at a schema and below, that do not compile; `tree` is what `compileRules` made of the schema. */
export function ruleProblems(tree: RuleTree | undefined, schema: JsonSchema, path: string): FieldProblem[] {
  if (!tree) return [];
  const written = schema['x-kubernetes-validations'] ?? [];
  const own = tree.rules.flatMap((compiled, index) => {
    if ('rule' in compiled) return [];
    const at = childPath(indexPath(childPath(path, 'x-kubernetes-validations'), index), compiled.field);
    return [invalidValue(at, written[index] as unknown as JsonValue, compiled.detail)];
  });
  return [...own, ...childRules(tree, schema, path)];
}

function childRules(tree: RuleTree, schema: JsonSchema, path: string): FieldProblem[] {
  const byName = [...tree.properties].flatMap(([name, child]) =>
    ruleProblems(child, schema.properties?.[name] ?? {}, indexPath(childPath(path, 'properties'), name)),
  );
  const items = ruleProblems(tree.items, schema.items ?? {}, childPath(path, 'items'));
  const members = ruleProblems(tree.members, memberSchema(schema) ?? {}, childPath(path, 'additionalProperties'));
  return [...byName, ...items, ...members];
}

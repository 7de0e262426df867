import { compileRules } from './cel/rule-validation.ts';
import { defaultProblems } from './declared-defaults.ts';
import { ruleProblems } from './declared-rules.ts';
import {
  childPath,
  forbidden,
  indexPath,
  invalidValue,
  requiredValue,
  unsupportedValue,
  type FieldProblem,
} from './field-problem.ts';
import { extensionProblems, rootProblems } from './extension-rules.ts';
import type { JsonSchema } from './json-schema.ts';
import { mergingProblems } from './merging-rules.ts';
import { children } from './schema-children.ts';

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const NOT_SUPPORTED = ['$ref', 'definitions', 'dependencies', 'patternProperties', 'additionalItems', 'id', '$schema'];
/** Below `anyOf` and its like a schema may only check values. */
const ONLY_STRUCTURAL = [
  'type',
  'description',
  'title',
  'default',
  'nullable',
  'additionalProperties',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-int-or-string',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
] as const satisfies readonly (keyof JsonSchema)[];

/** Reports what keeps a schema from being structural, wrong extensions, defaults that do not fit, and rules that do not compile. */
export function validateStructuralSchema(schema: JsonSchema, path: string): FieldProblem[] {
  const problems = [...validateNode(schema, path), ...rootProblems(schema, path)];
  if (schema.type !== 'object')
    problems.push(invalidValue(childPath(path, 'type'), schema.type ?? '', 'must be object at the root'));
  if (problems.length > 0) return problems;
  return [...defaultProblems(schema, path), ...ruleProblems(compileRules(schema, true), schema, path)];
}

function validateNode(schema: JsonSchema, path: string): FieldProblem[] {
  return [
    ...typeProblems(schema, path),
    ...keywordProblems(schema, path),
    ...mergingProblems(schema, path),
    ...extensionProblems(schema, path),
    ...logicProblems(schema, path),
    ...children(schema, path).flatMap(([child, childAt]) => validateNode(child, childAt)),
  ];
}

function typeProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const at = childPath(path, 'type');
  const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
  if (schema.type === undefined || schema.type === '') {
    if (isIntOrString || schema['x-kubernetes-preserve-unknown-fields'] === true) return [];
    return [requiredValue(at, 'must not be empty for specified object fields')];
  }
  if (isIntOrString) return [invalidValue(at, schema.type, 'must be empty if x-kubernetes-int-or-string is true')];
  if (!TYPES.includes(schema.type)) return [unsupportedValue(at, schema.type, TYPES)];
  if (schema.type === 'array' && !schema.items) return [requiredValue(childPath(path, 'items'), 'must be specified')];
  return [];
}

function keywordProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const problems = NOT_SUPPORTED.filter((keyword) => Object.hasOwn(schema, keyword)).map((keyword) =>
    forbidden(childPath(path, keyword), `${keyword} is not supported`),
  );
  if (schema.uniqueItems === true) {
    const why = 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic';
    problems.push(forbidden(childPath(path, 'uniqueItems'), why));
  }
  if (schema.properties && schema.additionalProperties !== undefined) {
    problems.push(
      forbidden(childPath(path, 'additionalProperties'), 'additionalProperties and properties are mutual exclusive'),
    );
  }
  if (schema.pattern !== undefined && !isRegex(schema.pattern)) {
    problems.push(invalidValue(childPath(path, 'pattern'), schema.pattern, 'must be a valid regular expression'));
  }
  (schema['x-kubernetes-validations'] ?? []).forEach(({ rule }, index) => {
    const at = indexPath(childPath(path, 'x-kubernetes-validations'), index);
    if (rule.trim() === '') problems.push(requiredValue(childPath(at, 'rule'), 'rule is not specified'));
  });
  return problems;
}

function isRegex(pattern: string): boolean {
  try {
    new RegExp(pattern);
    return true;
  } catch {
    return false;
  }
}

/** Structure may not hide inside the logical operators; an int-or-string may name its two types there. */
function logicProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
  const branches: [JsonSchema, string][] = [];
  for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const) {
    schema[keyword]?.forEach((branch, index) => branches.push([branch, indexPath(childPath(path, keyword), index)]));
  }
  if (schema.not) branches.push([schema.not, childPath(path, 'not')]);
  return branches.flatMap(([branch, at]) => valueOnlyProblems(branch, { path: at, mayHaveType: isIntOrString }));
}

function valueOnlyProblems(
  schema: JsonSchema,
  { path, mayHaveType }: { path: string; mayHaveType: boolean },
): FieldProblem[] {
  const stray = ONLY_STRUCTURAL.filter(
    (keyword) => schema[keyword] !== undefined && !(mayHaveType && keyword === 'type'),
  );
  const own = stray.map((keyword) => forbidden(childPath(path, keyword), 'must be empty to be structural'));
  const below = children(schema, path).flatMap(([child, at]) =>
    valueOnlyProblems(child, { path: at, mayHaveType: false }),
  );
  return [...own, ...below];
}

import {
  childPath,
  forbidden,
  indexPath,
  invalidValue,
  requiredValue,
  unsupportedValue,
  FIELD_REASONS,
  type FieldProblem,
} from './field-problem.ts';
import type { JsonSchema, ValidationRule } from './json-schema.ts';

/** Reports what Kubernetes' own extensions may not say of a schema, whatever its types are. */
export function extensionProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const rules = schema['x-kubernetes-validations'] ?? [];
  return [
    ...unknownFieldProblems(schema, path),
    ...embeddedProblems(schema, path),
    ...itemProblems(schema, path),
    ...rules.flatMap((rule, index) =>
      ruleWordingProblems(rule, schema, indexPath(childPath(path, 'x-kubernetes-validations'), index)),
    ),
  ];
}

/** What only the root of a schema may not say. */
export function rootProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const problems = metadataProblems(schema, path);
  if (schema.additionalProperties !== undefined) {
    problems.push(forbidden(childPath(path, 'additionalProperties'), 'must not be used at the root'));
  }
  return problems;
}

function metadataProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const named = Object.keys(schema.properties?.['metadata']?.properties ?? {});
  if (named.every((name) => name === 'name' || name === 'generateName')) return [];
  const why = 'must not specify anything other than name and generateName, but metadata is implicitly specified';
  return [forbidden(indexPath(childPath(path, 'properties'), 'metadata'), why)];
}

function unknownFieldProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const key = 'x-kubernetes-preserve-unknown-fields';
  return schema[key] === false ? [invalidValue(childPath(path, key), false, 'must be true or undefined')] : [];
}

function embeddedProblems(schema: JsonSchema, path: string): FieldProblem[] {
  if (schema['x-kubernetes-embedded-resource'] !== true) return [];
  const problems = metadataProblems(schema, path);
  if (schema['x-kubernetes-preserve-unknown-fields'] !== true && !schema.properties) {
    const why =
      'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields';
    problems.push(requiredValue(childPath(path, 'properties'), why));
  }
  return problems;
}

/** Items of sets are compared as a whole, and those of sets and keyed lists must be there. */
function itemProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const listType = schema['x-kubernetes-list-type'];
  const { items } = schema;
  if (!items || (listType !== 'set' && listType !== 'map')) return [];
  const at = childPath(path, 'items');
  const problems: FieldProblem[] = [];
  if (items.nullable === true) {
    problems.push(forbidden(childPath(at, 'nullable'), 'cannot be nullable when x-kubernetes-list-type is set'));
  }
  const type = items['x-kubernetes-map-type'];
  if (listType === 'set' && items.type === 'object' && type !== 'atomic') {
    const why = 'must be atomic as item of a list with x-kubernetes-list-type=set';
    problems.push(invalidValue(childPath(at, 'x-kubernetes-map-type'), type ?? null, why));
  }
  return problems;
}

/** Reasons that a rule may give. */
const RULE_REASONS = FIELD_REASONS.filter((reason) =>
  ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'].includes(reason),
).sort();

function ruleWordingProblems(rule: ValidationRule, schema: JsonSchema, path: string): FieldProblem[] {
  const problems = messageProblems(rule, childPath(path, 'message'));
  const { reason, fieldPath = '' } = rule;
  if (reason !== undefined && !(RULE_REASONS as readonly string[]).includes(reason)) {
    problems.push(unsupportedValue(childPath(path, 'reason'), reason, [...RULE_REASONS]));
  }
  if (fieldPath !== '' && schemaAt(fieldPath, schema) === undefined) {
    problems.push(invalidValue(childPath(path, 'fieldPath'), fieldPath, 'must be a valid path'));
  }
  return problems;
}

function messageProblems({ rule, message = '' }: ValidationRule, path: string): FieldProblem[] {
  if (message === '') {
    const why = 'message must be specified if rule contains line breaks';
    return rule.trim().includes('\n') ? [requiredValue(path, why)] : [];
  }
  if (message.trim() === '') return [invalidValue(path, message, 'must be non-empty if specified')];
  return message.trim().includes('\n') ? [invalidValue(path, message, 'must not contain line breaks')] : [];
}

const PATH_STEP = /^(?:\.([A-Za-z_][A-Za-z0-9_-]*)|\['((?:[^'\\]|\\.)*)'\])/;

/** The schema that a path such as `.spec.mode` or `.labels['a.b']` leads to; undefined when it leads nowhere. */
export function schemaAt(path: string, root: JsonSchema): JsonSchema | undefined {
  let schema: JsonSchema | undefined = root;
  for (let rest = path.trim(); rest !== '' && schema !== undefined;) {
    const step = PATH_STEP.exec(rest);
    if (!step) return undefined;
    const name = step[1] ?? (step[2] ?? '').replace(/\\(.)/g, '$1');
    const members: JsonSchema | undefined =
      typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
    schema = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : members;
    rest = rest.slice(step[0].length);
  }
  return schema;
}

import {
  childPath,
  duplicateValue,
  forbidden,
  indexPath,
  invalidValue,
  requiredValue,
  violatedRule,
  type FieldProblem,
} from '../field-problem.ts';
import { correlate, type Correlation } from '../correlation.ts';
import {
  isJsonObject,
  memberSchema,
  type JsonObject,
  type JsonSchema,
  type JsonValue,
  type ValidationRule,
} from '../json-schema.ts';
import { RuleScope, type CompiledRule, type RuleProblem } from './compiled-rule.ts';
import { runtimeErrorText } from './rule-error.ts';

/** The rules of one schema and of the schemas below it; undefined where there are none. */
export interface RuleTree {
  readonly schema: JsonSchema;
  readonly scope: RuleScope | undefined;
  readonly rules: readonly (CompiledRule | RuleProblem)[];
  readonly properties: ReadonlyMap<string, RuleTree>;
  readonly members: RuleTree | undefined;
  readonly items: RuleTree | undefined;
}

/** Compiles the rules of a whole schema; `isRoot` for a custom resource itself. */
export function compileRules(schema: JsonSchema, isRoot: boolean): RuleTree | undefined {
  const properties = new Map<string, RuleTree>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const tree = below(property);
    if (tree) properties.set(name, tree);
  }
  const members = memberSchema(schema);
  const rules = rulesOf(schema);
  const tree: RuleTree = {
    schema,
    properties,
    members: below(members),
    items: below(schema.items),
    ...compileAt(schema, rules, isRoot),
  };
  const isEmpty = rules.length === 0 && properties.size === 0 && !tree.members && !tree.items;
  return isEmpty ? undefined : tree;
}

function below(schema: JsonSchema | undefined): RuleTree | undefined {
  return schema && compileRules(schema, schema['x-kubernetes-embedded-resource'] === true);
}

/** Rules of a schema, those inside its `allOf` included. */
function rulesOf(schema: JsonSchema): ValidationRule[] {
  const own = schema['x-kubernetes-validations'] ?? [];
  return [...own, ...(schema.allOf ?? []).flatMap((branch) => branch['x-kubernetes-validations'] ?? [])];
}

function compileAt(
  schema: JsonSchema,
  rules: readonly ValidationRule[],
  isRoot: boolean,
): Pick<RuleTree, 'scope' | 'rules'> {
  if (rules.length === 0) return { scope: undefined, rules: [] };
  const scope = new RuleScope(schema, isRoot);
  return { scope, rules: rules.filter(({ rule }) => rule.trim() !== '').map((rule) => scope.compile(rule)) };
}

/** A value, where it is, and what it replaces. */
export interface Checked {
  readonly value: JsonValue | undefined;
  readonly path: string;
  readonly correlation: Correlation;
}

/** Runs every rule at and below a value. Rules on null and on absent values do not run. */
export function validateRules(tree: RuleTree, { value, path, correlation }: Checked): FieldProblem[] {
  if (value === undefined || value === null) return [];
  const problems = runRules(tree, { value, path, correlation });
  const at = { schema: tree.schema, correlation };
  if (Array.isArray(value)) {
    const items = tree.items;
    if (!items) return problems;
    return [
      ...problems,
      ...value.flatMap((item, index) =>
        validateRules(items, { value: item, path: indexPath(path, index), correlation: correlate(value, index, at) }),
      ),
    ];
  }
  return isJsonObject(value) ? [...problems, ...validateFields(tree, value, { path, correlation })] : problems;
}

function validateFields(
  tree: RuleTree,
  value: JsonObject,
  { path, correlation }: Omit<Checked, 'value'>,
): FieldProblem[] {
  const at = { schema: tree.schema, correlation };
  return Object.entries(value).flatMap(([name, field]) => {
    const property = tree.properties.get(name);
    const isMember = !property && !Object.hasOwn(tree.schema.properties ?? {}, name);
    const next = property ?? (isMember ? tree.members : undefined);
    if (!next) return [];
    const fieldPath = property ? childPath(path, name) : indexPath(path, name);
    return validateRules(next, { value: field, path: fieldPath, correlation: correlate(value, name, at) });
  });
}

function runRules(tree: RuleTree, checked: Checked): FieldProblem[] {
  if (!tree.scope) return [];
  const { value, correlation } = checked as { value: JsonValue; correlation: Correlation };
  const self = tree.scope.toValue(value);
  const oldSelf =
    correlation.old === undefined || correlation.old === null ? undefined : tree.scope.toValue(correlation.old);
  const problems: FieldProblem[] = [];
  for (const compiled of tree.rules) {
    const problem = runRule(compiled, { self, oldSelf }, { tree, checked });
    const isRatcheted = correlation.isUnchanged && 'rule' in compiled && !compiled.usesOldSelf;
    if (problem && !isRatcheted) problems.push(problem);
  }
  return problems;
}

interface Operands {
  readonly self: unknown;
  readonly oldSelf: unknown;
}

function runRule(
  compiled: CompiledRule | RuleProblem,
  { self, oldSelf }: Operands,
  { tree, checked: { value, path } }: { tree: RuleTree; checked: Checked },
): FieldProblem | undefined {
  const type = tree.schema.type ?? '';
  if (!('rule' in compiled)) return invalidValue(path, type, `rule compile error: ${compiled.detail}`);
  const { rule } = compiled;
  if (compiled.usesOldSelf && oldSelf === undefined && rule.optionalOldSelf !== true) return undefined;
  let result: unknown;
  try {
    result = compiled.evaluate(self, oldSelf);
  } catch (error) {
    return invalidValue(path, type, runtimeDetail(runtimeErrorText(error), rule));
  }
  if (result === true) return undefined;
  const detail = evaluatedMessage(compiled, { self, oldSelf }) ?? messageOrDefault(rule);
  return failure(rule, { path: path + (rule.fieldPath ?? ''), value, type, detail });
}

function runtimeDetail(text: string, rule: ValidationRule): string {
  const name = (rule.message ?? '').trim() || rule.rule.trim();
  if (!text.startsWith('no such overload')) return `${text} evaluating rule: ${name}`;
  return `'${text}': call arguments did not match a supported operator, function or macro signature for rule: ${name}`;
}

/** A message expression that fails, or says nothing useful, gives way to the rule's message. */
function evaluatedMessage({ evaluateMessage }: CompiledRule, { self, oldSelf }: Operands): string | undefined {
  try {
    const text = evaluateMessage?.(self, oldSelf);
    const trimmed = typeof text === 'string' ? text.trim() : '';
    return trimmed === '' || trimmed.includes('\n') || trimmed.length > 5 * 1024 ? undefined : trimmed;
  } catch {
    return undefined;
  }
}

function messageOrDefault({ message = '', rule }: ValidationRule): string {
  return message === '' ? `failed rule: ${rule.trim()}` : message.trim();
}

interface Failure {
  readonly path: string;
  readonly value: JsonValue | undefined;
  readonly type: string;
  readonly detail: string;
}

function failure({ reason }: ValidationRule, { path, value, type, detail }: Failure): FieldProblem {
  const at = path.replace(/^\./, '');
  if (reason === 'FieldValueForbidden') return forbidden(at, detail);
  if (reason === 'FieldValueRequired') return requiredValue(at, detail);
  if (reason === 'FieldValueDuplicate') return duplicateValue(at, value ?? null);
  // Large values would bury the message, so the server leaves out structs and lists.
  return type === 'object' || type === 'array' ? violatedRule(at, detail) : invalidValue(at, value, detail);
}

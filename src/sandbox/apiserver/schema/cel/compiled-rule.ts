import { Environment, Optional, type ParseResult } from '@marcbachmann/cel-js';
import type { JsonSchema, JsonValue, ValidationRule } from '../json-schema.ts';
import { TypeDeclarations, type DeclaredType } from './declared-type.ts';
import { registerIpLibrary } from './ip-library.ts';
import { registerListLibrary } from './list-library.ts';
import { registerQuantityLibrary } from './quantity-library.ts';
import { compileErrorText } from './rule-error.ts';
import { registerStringLibrary } from './string-library.ts';

/** A rule that compiled. Values are what `RuleScope.toValue` made of JSON. */
export interface CompiledRule {
  readonly rule: ValidationRule;
  readonly usesOldSelf: boolean;
  /** Throws what the expression throws. */
  evaluate(self: unknown, oldSelf: unknown): unknown;
  /** Undefined when the rule has no messageExpression; throws what the expression throws. */
  evaluateMessage: ((self: unknown, oldSelf: unknown) => unknown) | undefined;
}

/** Why an expression of a rule cannot be used; `field` is the field of the rule that holds it. */
export interface RuleProblem {
  readonly field: 'rule' | 'messageExpression';
  readonly detail: string;
}

let base: Environment | undefined;

/** The language with the libraries that a kube-apiserver adds to it. */
export function baseEnvironment(): Environment {
  if (base) return base;
  const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
  environment.registerVariable('text', 'string');
  for (const register of [registerStringLibrary, registerListLibrary, registerIpLibrary, registerQuantityLibrary]) {
    register(environment);
  }
  base = environment;
  return base;
}

/** The place of rules in a schema: the type of `self` there. */
export class RuleScope {
  readonly #environments: { readonly plain: Environment; readonly optional: Environment } | undefined;
  readonly #type: DeclaredType | undefined;

  /** `isRoot` for a custom resource itself and for embedded resources: their rules see `metadata.name`. */
  constructor(schema: JsonSchema, isRoot: boolean) {
    const environment = baseEnvironment().clone();
    // Rules never see null: a null value skips the rules of its own schema.
    this.#type = new TypeDeclarations(environment).declare({ ...schema, nullable: false }, isRoot);
    if (!this.#type) return;
    environment.registerVariable('self', this.#type.name);
    this.#environments = {
      plain: environment.clone().registerVariable('oldSelf', this.#type.name),
      optional: environment.clone().registerVariable('oldSelf', `optional<${this.#type.name}>`),
    };
  }

  toValue(value: JsonValue): unknown {
    return this.#type?.toValue(value);
  }

  compile(rule: ValidationRule): CompiledRule | RuleProblem {
    if (!this.#environments) {
      return { field: 'rule', detail: 'rule declared on schema that does not support validation rules' };
    }
    const isOptional = rule.optionalOldSelf === true;
    const environment = isOptional ? this.#environments.optional : this.#environments.plain;
    const condition = compileExpression(environment, rule.rule, 'bool');
    if (typeof condition === 'string') return { field: 'rule', detail: condition };
    const text = rule.messageExpression ?? '';
    const message = text === '' ? undefined : compileExpression(environment, text, 'string');
    if (typeof message === 'string') return { field: 'messageExpression', detail: message };
    const bind = (self: unknown, oldSelf: unknown): Record<string, unknown> => ({
      self,
      oldSelf: isOptional ? toOptional(oldSelf) : oldSelf,
    });
    return {
      rule,
      usesOldSelf: refersTo(condition.ast, 'oldSelf'),
      evaluate: (self, oldSelf) => condition(bind(self, oldSelf)) as unknown,
      evaluateMessage: message && ((self, oldSelf) => message(bind(self, oldSelf)) as unknown),
    };
  }
}

function toOptional(value: unknown): Optional {
  return value === undefined ? Optional.none() : Optional.of(value);
}

/** The compiled expression, or what is wrong with it. */
export function compileExpression(
  environment: Environment,
  source: string,
  type: 'bool' | 'string',
): ParseResult | string {
  let parsed: ParseResult;
  try {
    parsed = environment.parse(source);
  } catch (error) {
    return compileErrorText(error, source);
  }
  const check = parsed.check();
  if (!check.valid) return compileErrorText(check.error, source);
  if (check.type === type || check.type === 'dyn') return parsed;
  return type === 'bool' ? 'cel expression must evaluate to a bool' : 'messageExpression must evaluate to a string';
}

/** Whether an expression mentions a variable, anywhere in its syntax tree. */
function refersTo(tree: unknown, name: string, seen = new Set<object>()): boolean {
  if (typeof tree !== 'object' || tree === null || seen.has(tree)) return false;
  seen.add(tree);
  const node = tree as Record<string, unknown>;
  if (node['op'] === 'id' && node['args'] === name) return true;
  return Object.values(node).some((child) => refersTo(child, name, seen));
}

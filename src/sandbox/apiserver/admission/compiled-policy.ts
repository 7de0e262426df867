import { listAt, textAt, valueAt, type KubeObject } from '../object.ts';
import { invalidValue, type FieldProblem } from '../schema/field-problem.ts';
import { runtimeErrorText } from '../schema/cel/rule-error.ts';
import { compilePolicyExpression, type PolicyInput } from './policy-environment.ts';

type Evaluate = (input: PolicyInput) => unknown;

interface Named {
  readonly name: string;
  readonly evaluate: Evaluate;
}

interface Validation {
  readonly expression: string;
  readonly evaluate: Evaluate;
  readonly evaluateMessage: Evaluate | undefined;
  readonly message: string;
  readonly reason: string;
}

/** One no of a policy. */
export interface Denial {
  readonly message: string;
  /** Empty where the policy gives none. */
  readonly reason: string;
}

/** A ValidatingAdmissionPolicy, ready to judge. */
export class CompiledPolicy {
  readonly name: string;
  readonly #failsOpen: boolean;
  readonly #conditions: readonly Named[];
  readonly #variables: readonly Named[];
  readonly #validations: readonly Validation[];

  constructor(policy: KubeObject) {
    this.name = policy.metadata.name;
    this.#failsOpen = textAt(policy, 'spec', 'failurePolicy') === 'Ignore';
    const named = (field: string): Named[] =>
      listAt(policy, 'spec', field).map((one) => ({
        name: textAt(one, 'name'),
        evaluate: compiled(textAt(one, 'expression')),
      }));
    this.#conditions = named('matchConditions');
    this.#variables = named('variables');
    this.#validations = listAt(policy, 'spec', 'validations').map((one) => {
      const text = textAt(one, 'messageExpression');
      const expression = textAt(one, 'expression').trim();
      return {
        expression,
        evaluate: compiled(expression),
        evaluateMessage: text === '' ? undefined : compiled(text),
        message: textAt(one, 'message'),
        reason: textAt(one, 'reason'),
      };
    });
  }

  /** All that is wrong with a write; empty when the policy does not concern it or has nothing against it. */
  judge(input: PolicyInput): Denial[] {
    try {
      if (this.#conditions.some(({ evaluate }) => evaluate(input) === false)) return [];
    } catch (error) {
      return this.#failsOpen ? [] : [{ message: runtimeErrorText(error), reason: '' }];
    }
    const full = { ...input, variables: this.#evaluateVariables(input) };
    return this.#validations.flatMap((validation) => this.#check(validation, full));
  }

  /** One that fails is left out: only who uses it fails. */
  #evaluateVariables(input: PolicyInput): Map<string, unknown> {
    const variables = new Map<string, unknown>();
    for (const { name, evaluate } of this.#variables) {
      try {
        variables.set(name, evaluate({ ...input, variables }));
      } catch {
        continue;
      }
    }
    return variables;
  }

  #check({ expression, evaluate, evaluateMessage, message, reason }: Validation, input: PolicyInput): Denial[] {
    try {
      if (evaluate(input) === true) return [];
    } catch (error) {
      const text = `expression '${expression}' resulted in error: ${runtimeErrorText(error)}`;
      return this.#failsOpen ? [] : [{ message: text, reason: '' }];
    }
    const said = saidBy(evaluateMessage, input) ?? message;
    return [{ message: said === '' ? `failed expression: ${expression}` : said, reason }];
  }
}

/** A message that cannot be made falls back to the constant one. */
function saidBy(evaluateMessage: Evaluate | undefined, input: PolicyInput): string | undefined {
  try {
    const text = evaluateMessage?.(input);
    return typeof text === 'string' && text.trim() !== '' ? text : undefined;
  } catch {
    return undefined;
  }
}

function compiled(expression: string): Evaluate {
  const parsed = compilePolicyExpression(expression, 'any');
  if (typeof parsed !== 'string') return (input) => parsed(input) as unknown;
  return () => {
    throw new Error(parsed);
  };
}

/** The expressions of a policy that do not compile. */
export function policyExpressionProblems(policy: KubeObject): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const check = (path: string, source: string, type: 'bool' | 'string' | 'any'): void => {
    const parsed = compilePolicyExpression(source, type);
    if (typeof parsed === 'string') problems.push(invalidValue(path, source, parsed));
  };
  const each = (field: string, type: 'bool' | 'any'): void =>
    listAt(policy, 'spec', field).forEach((one, index) => {
      check(`spec.${field}[${index}].expression`, textAt(one, 'expression'), type);
      const text = valueAt(one, 'messageExpression');
      if (typeof text === 'string') check(`spec.${field}[${index}].messageExpression`, text, 'string');
    });
  each('variables', 'any');
  each('matchConditions', 'bool');
  each('validations', 'bool');
  return problems;
}

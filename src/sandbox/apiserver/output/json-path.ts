import { isJsonObject, type JsonValue } from '../schema/json-schema.ts';

/** The path of a printer column is not one that kubectl's JSONPath would understand. */
export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
}

type Step = (values: JsonValue[]) => JsonValue[];

const FIELD = /^\.?((?:\\.|[^.[\]\\\s(){}])+)/;
const QUOTED = /^\.?\['((?:[^'\\]|\\.)*)'\]/;
const INDEX = /^\[(-?\d+)\]/;
const WILDCARD = /^(?:\[\*\]|\.\*)/;
const FILTER = /^\[\?\(\s*@((?:\.[^\s=!<>)]+)?)\s*(?:(==|!=|<=|>=|<|>)\s*(?:"([^"]*)"|'([^']*)'|([^\s)]+))\s*)?\)\]/;

/** Compiles the subset of JSONPath that printer columns use; evaluating gives every match in order. */
export function compileJsonPath(path: string): (value: JsonValue) => JsonValue[] {
  const steps = parseSteps(path.replace(/^\{(.*)\}$/s, '$1').replace(/^\$/, ''), path);
  return (value) => steps.reduce((values, step) => step(values), [value]);
}

/** Why a path cannot be compiled; undefined when it can. */
export function jsonPathProblem(path: string): string | undefined {
  try {
    compileJsonPath(path);
    return undefined;
  } catch (error) {
    return (error as JsonPathError).message;
  }
}

function parseSteps(text: string, whole: string): Step[] {
  const steps: Step[] = [];
  let rest = text;
  while (rest !== '' && rest !== '.') {
    const parsed = parseStep(rest);
    if (!parsed) throw new JsonPathError(`unrecognized JSONPath ${JSON.stringify(whole)} at ${JSON.stringify(rest)}`);
    steps.push(parsed.step);
    rest = rest.slice(parsed.length);
  }
  return steps;
}

function parseStep(text: string): { step: Step; length: number } | undefined {
  const wildcard = WILDCARD.exec(text);
  if (wildcard) return { step: (values) => values.flatMap(members), length: wildcard[0].length };
  const index = INDEX.exec(text);
  if (index)
    return { step: (values) => values.flatMap((value) => at(value, Number(index[1]))), length: index[0].length };
  const filter = FILTER.exec(text);
  if (filter) return { step: filterStep(filter), length: filter[0].length };
  const field = QUOTED.exec(text) ?? FIELD.exec(text);
  if (!field) return undefined;
  const name = (field[1] ?? '').replace(/\\(.)/g, '$1');
  return { step: (values) => values.flatMap((value) => memberOf(value, name)), length: field[0].length };
}

function members(value: JsonValue): JsonValue[] {
  if (Array.isArray(value)) return value;
  return isJsonObject(value) ? Object.values(value) : [];
}

function at(value: JsonValue, index: number): JsonValue[] {
  const found = Array.isArray(value) ? value.at(index) : undefined;
  return found === undefined ? [] : [found];
}

function memberOf(value: JsonValue, name: string): JsonValue[] {
  if (!isJsonObject(value) || !Object.hasOwn(value, name)) return [];
  const found = value[name];
  return found === undefined ? [] : [found];
}

function filterStep(match: RegExpExecArray): Step {
  const [, path = '', operator, double, single, bare] = match;
  const read = compileJsonPath(path);
  const wanted = double ?? single ?? bare ?? '';
  const isKept = (item: JsonValue): boolean => {
    const [value] = read(item);
    return value !== undefined && (operator === undefined || compare(value, operator, wanted));
  };
  return (values) => values.flatMap((value) => members(value).filter(isKept));
}

function compare(value: JsonValue, operator: string, wanted: string): boolean {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const order = typeof value === 'number' ? value - Number(wanted) : text < wanted ? -1 : text > wanted ? 1 : 0;
  switch (operator) {
    case '==':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '>':
      return order > 0;
    case '<=':
      return order <= 0;
    default:
      return order >= 0;
  }
}

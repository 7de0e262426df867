import type { KubeObject } from '../object.ts';
import { badRequest } from '../status-error.ts';
import { qualifiedNameProblems, labelValueProblems } from './names.ts';

export type Predicate = (object: KubeObject) => boolean;

interface Requirement {
  readonly key: string;
  readonly operator: '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';
  readonly values: readonly string[];
}

const SET_REQUIREMENT = /^([^\s=!<>,()]+)\s+(in|notin)\s*\(([^()]*)\)$/;
const BINARY_REQUIREMENT = /^([^\s=!<>,()]+)\s*(==|=|!=|>|<)\s*([^\s=!<>,()]*)$/;
const UNARY_REQUIREMENT = /^(!?)\s*([^\s=!<>,()]+)$/;

/** `labelSelector` of a request; throws 400 when it cannot be parsed. */
export function parseLabelSelector(text: string): Predicate {
  const requirements = splitOutsideParentheses(text).map(parseRequirement);
  return ({ metadata }) => {
    const labels = metadata.labels ?? {};
    return requirements.every(({ key, operator, values }) => TESTS[operator](labels[key], values));
  };
}

function splitOutsideParentheses(text: string): string[] {
  return text
    .split(/,(?![^()]*\))/)
    .map((part) => part.trim())
    .filter((part, index, parts) => part !== '' || parts.length > 1 + index);
}

function parseRequirement(text: string): Requirement {
  const requirement = readRequirement(text);
  const keyProblems = qualifiedNameProblems(requirement.key);
  if (keyProblems.length > 0) throw unparsable(`invalid label key "${requirement.key}": ${keyProblems.join('; ')}`);
  for (const value of requirement.values) {
    const problems = labelValueProblems(value);
    if (problems.length > 0) throw unparsable(`invalid label value: "${value}": ${problems.join('; ')}`);
  }
  return requirement;
}

function readRequirement(text: string): Requirement {
  const set = SET_REQUIREMENT.exec(text);
  if (set?.[1] !== undefined && set[3] !== undefined) {
    const values = set[3].split(',').map((value) => value.trim());
    return { key: set[1], operator: set[2] === 'in' ? 'in' : 'notin', values };
  }
  const binary = BINARY_REQUIREMENT.exec(text);
  if (binary?.[1] !== undefined && binary[3] !== undefined) {
    const operators = { '=': '=', '==': '=', '!=': '!=', '>': 'gt', '<': 'lt' } as const;
    return { key: binary[1], operator: operators[binary[2] as keyof typeof operators], values: [binary[3]] };
  }
  const unary = UNARY_REQUIREMENT.exec(text);
  if (unary?.[2] !== undefined) return { key: unary[2], operator: unary[1] === '!' ? '!' : 'exists', values: [] };
  throw unparsable(`couldn't parse the selector string "${text}"`);
}

function unparsable(problem: string): Error {
  return badRequest(`unable to parse requirement: ${problem}`);
}

const TESTS: Readonly<
  Record<Requirement['operator'], (value: string | undefined, values: readonly string[]) => boolean>
> = {
  '=': (value, values) => value !== undefined && values.includes(value),
  in: (value, values) => value !== undefined && values.includes(value),
  '!=': (value, values) => value === undefined || !values.includes(value),
  notin: (value, values) => value === undefined || !values.includes(value),
  exists: (value) => value !== undefined,
  '!': (value) => value === undefined,
  gt: (value, values) => value !== undefined && Number(value) > Number(values[0]),
  lt: (value, values) => value !== undefined && Number(value) < Number(values[0]),
};

export type FieldReaders = Readonly<Record<string, (object: KubeObject) => string>>;

/** Fields that every kind can be selected by. */
const COMMON_FIELDS: FieldReaders = {
  'metadata.name': ({ metadata }) => metadata.name,
  'metadata.namespace': ({ metadata }) => metadata.namespace ?? '',
};

/** `fieldSelector` of a request; throws 400 for a field that the kind cannot be selected by. */
export function parseFieldSelector(text: string, readers: FieldReaders): Predicate {
  const terms = text.split(',').filter((term) => term !== '');
  const tests = terms.map((term) => parseFieldTerm(term, { ...COMMON_FIELDS, ...readers }));
  return (object) => tests.every((test) => test(object));
}

function parseFieldTerm(term: string, readers: FieldReaders): Predicate {
  const match = /^([^=!]+?)(==|!=|=)(.*)$/.exec(term);
  if (!match) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
  const [, field = '', operator, wanted = ''] = match;
  const read = Object.hasOwn(readers, field) ? readers[field] : undefined;
  if (!read) throw badRequest(`field label not supported: ${field}`);
  const value = wanted.replace(/\\([\\,=])/g, '$1');
  return operator === '!=' ? (object) => read(object) !== value : (object) => read(object) === value;
}

import type { JsonValue } from './json-schema.ts';

export const FIELD_REASONS = [
  'FieldValueRequired',
  'FieldValueInvalid',
  'FieldValueNotSupported',
  'FieldValueTypeInvalid',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueDuplicate',
  'FieldValueForbidden',
] as const;
export type FieldReason = (typeof FIELD_REASONS)[number];

/** One thing that is wrong with an object, as a cause in the `details` of a Status 422 carries it. */
export interface FieldProblem {
  reason: FieldReason;
  /** Dotted, e.g. `spec.rules[0].name`; `<nil>` for the object itself, as the real server writes it. */
  path: string;
  /** All that follows the path in the real server's text, e.g. `Unsupported value: "x": supported values: "a", "b"`. */
  message: string;
}

const ROOT = '<nil>';

function problem(reason: FieldReason, path: string, message: string): FieldProblem {
  return { reason, path: path === '' ? ROOT : path, message };
}

function withDetail(head: string, detail: string): string {
  return detail === '' ? head : `${head}: ${detail}`;
}

/** A value as the real server prints it inside a message: as JSON. */
export function renderValue(value: JsonValue | undefined): string {
  return JSON.stringify(value ?? null);
}

export function requiredValue(path: string, detail = ''): FieldProblem {
  return problem('FieldValueRequired', path, withDetail('Required value', detail));
}

export function invalidValue(path: string, value: JsonValue | undefined, detail: string): FieldProblem {
  return problem('FieldValueInvalid', path, withDetail(`Invalid value: ${renderValue(value)}`, detail));
}

/** A struct or list that breaks a rule; the value itself is left out. */
export function violatedRule(path: string, detail: string): FieldProblem {
  return problem('FieldValueInvalid', path, withDetail('Invalid value', detail));
}

export function invalidType(path: string, value: JsonValue | undefined, detail: string): FieldProblem {
  return problem('FieldValueTypeInvalid', path, withDetail(`Invalid value: ${renderValue(value)}`, detail));
}

export function unsupportedValue(path: string, value: JsonValue | undefined, supported: JsonValue[]): FieldProblem {
  const words = supported.map((word) => JSON.stringify(typeof word === 'string' ? word : JSON.stringify(word)));
  const detail = words.length === 0 ? '' : `supported values: ${words.join(', ')}`;
  return problem('FieldValueNotSupported', path, withDetail(`Unsupported value: ${renderValue(value)}`, detail));
}

export function tooLong(path: string, maxLength: number): FieldProblem {
  const unit = maxLength === 1 ? 'byte' : 'bytes';
  return problem('FieldValueTooLong', path, `Too long: may not be more than ${maxLength} ${unit}`);
}

export function tooMany(path: string, actual: number, max: number): FieldProblem {
  const unit = max === 1 ? 'item' : 'items';
  return problem('FieldValueTooMany', path, `Too many: ${actual}: must have at most ${max} ${unit}`);
}

export function duplicateValue(path: string, value: JsonValue): FieldProblem {
  return problem('FieldValueDuplicate', path, `Duplicate value: ${renderValue(value)}`);
}

export function forbidden(path: string, detail: string): FieldProblem {
  return problem('FieldValueForbidden', path, withDetail('Forbidden', detail));
}

/** `parent.name` as kube-apiserver joins field names; names are never quoted or escaped. */
export function childPath(parent: string, name: string): string {
  return parent === '' ? name : `${parent}.${name}`;
}

/** `parent[key]`, for list indexes and map keys. */
export function indexPath(parent: string, index: number | string): string {
  return `${parent}[${index}]`;
}

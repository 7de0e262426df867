import type { z } from 'zod';

export interface FieldProblem {
  /** As kubectl writes it: `spec.nodeSelector.matchExpressions[0].key`. */
  readonly path: string;
  readonly message: string;
}

/** All problems that zod found in a value that stands at `at` in its object. */
export function fieldProblems(error: z.ZodError, at = ''): FieldProblem[] {
  return error.issues.map(({ path, message }) => ({ path: pathText(at, path) || 'document', message }));
}

/** The same as one line for people. */
export function describeProblems(error: z.ZodError, at = ''): string {
  return fieldProblems(error, at)
    .map(({ path, message }) => `${path}: ${message}`)
    .join('; ');
}

function pathText(at: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, at);
}

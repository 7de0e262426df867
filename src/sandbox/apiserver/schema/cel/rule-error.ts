import { EvaluationError } from '@marcbachmann/cel-js';

interface LibraryError {
  readonly code: string;
  readonly summary: string;
  readonly range?: { readonly start: number };
}

function isLibraryError(error: unknown): error is LibraryError {
  return error instanceof Error && 'code' in error && 'summary' in error;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

type Wording = (summary: string) => string;

const COMPILE_WORDINGS: Record<string, Wording> = {
  no_such_key: (summary) => summary.replace(/^No such key: (.*)$/, "undefined field '$1'"),
  unknown_variable: (summary) =>
    summary.replace(/^Unknown variable: (.*)$/, "undeclared reference to '$1' (in container '')"),
  no_such_overload: (summary) =>
    summary.replace(
      /^no such overload: (.*) (\S+) (.*)$/,
      "found no matching overload for '_$2_' applied to '($1, $3)'",
    ),
};

/** What kube-apiserver says about a rule that does not compile, as far as the CEL library knows it. */
export function compileErrorText(error: unknown, source: string): string {
  if (!isLibraryError(error)) return `compilation failed: ${reason(error)}`;
  const lines = source.slice(0, error.range?.start ?? 0).split('\n');
  const column = lines.at(-1)?.length ?? 0;
  const line = source.split('\n')[lines.length - 1] ?? '';
  const words = COMPILE_WORDINGS[error.code]?.(error.summary) ?? syntaxError(error);
  return `compilation failed: ERROR: <input>:${lines.length}:${column + 1}: ${words}\n | ${line}\n | ${'.'.repeat(column)}^`;
}

function syntaxError({ code, summary }: LibraryError): string {
  return /unexpected|expected_|parse|unterminated|invalid_character/.test(code) ? `Syntax error: ${summary}` : summary;
}

const RUNTIME_WORDINGS: Record<string, Wording> = {
  no_such_key: (summary) => summary.replace('No such key', 'no such key'),
  index_out_of_bounds: (summary) => summary.replace(/^.*index (-?\d+) .*$/, 'index out of bounds: $1'),
  modulo_by_zero: () => 'modulus by zero',
  numeric_overflow: () => 'integer overflow',
  no_such_overload: () => 'no such overload',
  no_matching_overload: () => 'no such overload',
};

/** What cel-go says about the same failure while a rule runs. */
export function runtimeErrorText(error: unknown): string {
  if (!(error instanceof EvaluationError)) return reason(error);
  return RUNTIME_WORDINGS[error.code]?.(error.summary) ?? error.summary;
}

import type { Failure } from '../support/errors.ts';

/** A refusal by the kernel or by a tool that speaks to it. `errno` is the symbolic name (`ENOENT`), where there is one. */
export class KernelError extends Error implements Failure {
  override readonly name = 'KernelError';
  readonly operation: string;
  readonly object: string;
  readonly retryable: boolean;
  readonly errno: string | undefined;

  constructor(failure: Failure & { readonly errno?: string | undefined; readonly detail?: string }) {
    const why = [failure.errno, failure.detail].filter((part) => part !== undefined && part !== '').join(': ');
    super(`${failure.operation} on ${failure.object} failed${why === '' ? '' : `: ${why}`}`);
    this.operation = failure.operation;
    this.object = failure.object;
    this.retryable = failure.retryable;
    this.errno = failure.errno;
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof KernelError && error.errno === 'ENOENT';
}

/** A program did not end in time. */
export function isTimedOut(error: unknown): boolean {
  return error instanceof KernelError && error.errno === 'ETIMEDOUT';
}

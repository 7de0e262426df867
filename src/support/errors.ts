/** What every error of ours carries, so that a loop can decide and a person can act without reading a stack trace. */
export interface Failure {
  /** What was attempted, e.g. `nftables commit`. */
  readonly operation: string;
  /** On what, e.g. `table ip switchyard`. */
  readonly object: string;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
}

/** Errors that reach the user as one line: what failed, why, and the next step. */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

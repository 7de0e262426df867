import type { Failure } from '../../support/errors.ts';

export const SANDBOX_FAULTS = ['not-root', 'tool-missing', 'timed-out', 'command-failed', 'bad-spec', 'ended'] as const;
export type SandboxFault = (typeof SANDBOX_FAULTS)[number];

/** A namespace, a process in one, or the testbed as a whole could not be made, driven or removed. */
export class SandboxError extends Error implements Failure {
  override readonly name = 'SandboxError';
  readonly fault: SandboxFault;
  readonly operation: string;
  readonly object: string;
  readonly retryable: boolean;

  constructor(fault: SandboxFault, operation: string, object: string, detail = '') {
    super(`${operation} on ${object} failed (${fault})${detail === '' ? '' : `: ${detail}`}`);
    this.fault = fault;
    this.operation = operation;
    this.object = object;
    this.retryable = fault === 'timed-out';
  }
}

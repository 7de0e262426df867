import { UserError } from '../../support/errors.ts';

/** What the commands for people end with. 0 to 2 mean the same everywhere; the others are said in each command's help. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  /** status --watch: nodes failed, or nothing can go on without a change of the spec. */
  failed: 3,
  /** status --watch: the revision was rejected and the nodes are back. */
  rolledBack: 4,
  /** status --watch: not over within --timeout. */
  timeout: 5,
  /** status --watch: paused, or a person has to approve. */
  waiting: 6,
  /** diagnose: something was found. */
  found: 7,
  /** diagnose: nothing was found, but not everything could be looked at. */
  incomplete: 8,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Bad flags or arguments. */
export function usageError(message: string): UserError {
  return new UserError(message, EXIT.usage);
}

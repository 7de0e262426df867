import type { Condition, ConditionStatus } from './api/meta.ts';

/** What a condition says, without its times. */
export type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

export const verdict = (status: ConditionStatus, reason: string, message: string): Verdict => ({
  status,
  reason,
  message,
});

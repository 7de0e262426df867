import type { ProxyProfileStatus } from '../api/proxy-profile.ts';
import type { Verdict } from '../verdict.ts';
import { AT_REST, conditionOf, type EventContent, type Transition } from './transition.ts';
import type { RolloutView } from './view.ts';

/** What the new state of Progressing is worth telling, where it differs from the old one. */
function progressReason(isBegun: boolean, now: Verdict): string | undefined {
  if (now.status === 'True') {
    if (now.reason === 'RollingBack') return undefined;
    return isBegun ? 'RolloutResumed' : 'RolloutStarted';
  }
  const told: Record<string, string> = {
    Complete: 'RolloutCompleted',
    Rejected: 'RollbackCompleted',
    Paused: 'RolloutPaused',
    DryRun: 'RolloutPaused',
    OutsideWindow: 'RolloutPaused',
    PreflightFailed: 'PreflightFailed',
    NoCanary: 'NoCanary',
    FailureBudgetSpent: 'FailureBudgetSpent',
    DeadlineExceeded: 'DeadlineExceeded',
  };
  return told[now.reason];
}

const WARNINGS = ['FailureBudgetSpent', 'DeadlineExceeded', 'PreflightFailed', 'NoCanary'];

function isRejected({ revision }: ProxyProfileStatus): boolean {
  return (revision?.rejected ?? []).length > 0;
}

/** What Progressing said of this very try; undefined where it is another revision, or one that is tried again. */
function progressBefore({ profile: { status }, next }: Transition, { course }: RolloutView) {
  if (status === undefined || status.revision?.target !== course.target) return undefined;
  return isRejected(status) && !isRejected(next) ? undefined : conditionOf(status, 'Progressing');
}

/** What was paused, held or tried dry before its first node has not. */
function hasBegun({ profile: { status } }: Transition, old: Verdict | undefined): boolean {
  return old !== undefined && !AT_REST.includes(old.reason) && status?.rollout?.step !== 'Preflight';
}

/** A profile that was refused for a while, and had come to an end before, has not come to it again. */
function isOldEnd(old: Verdict | undefined, now: Verdict, { course }: RolloutView): boolean {
  return now.reason === 'Complete' && old?.reason === 'NotAccepted' && course.kind === 'Settle';
}

/** Of the condition Progressing, where it has changed. */
export function progressEvents(transition: Transition, view: RolloutView): EventContent[] {
  const old = progressBefore(transition, view);
  const now = conditionOf(transition.next, 'Progressing');
  if (now === undefined || isOldEnd(old, now, view)) return [];
  const isSame = now.status === 'True' ? old?.status === 'True' : old?.reason === now.reason;
  const reason = isSame ? undefined : progressReason(hasBegun(transition, old), now);
  if (reason === undefined) return [];
  return [{ type: WARNINGS.includes(reason) ? 'Warning' : 'Normal', reason, message: now.message }];
}

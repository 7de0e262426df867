import { durationMs, type Condition } from '../api/meta.ts';
import { PROXY_PROFILE_CONDITIONS, type ProxyProfile, type ProxyProfileStatus } from '../api/proxy-profile.ts';
import type { RolloutStep } from '../api/rollout-status.ts';
import { timeText } from '../time.ts';
import type { Assignment } from './assignment.ts';
import { findConditions, findInvalid, type Findings } from './conditions.ts';
import type { Verdict } from '../verdict.ts';
import { countNodes, isAccepted, isComplete, listProblems, type RolloutView } from './view.ts';

/** `lastTransitionTime` moves only with the status of the condition. */
export function dateConditions(profile: ProxyProfile, findings: Findings, nowMs: number): Condition[] {
  return PROXY_PROFILE_CONDITIONS.map((type) => {
    const old = profile.status?.conditions?.find((condition) => condition.type === type);
    const isSame = old?.status === findings[type].status;
    return {
      type,
      ...findings[type],
      lastTransitionTime: isSame ? old.lastTransitionTime : timeText(nowMs),
      observedGeneration: profile.metadata.generation ?? 0,
    };
  });
}

function stepOf(view: RolloutView): RolloutStep {
  if (isComplete(view)) return 'Done';
  if (view.course.kind === 'Back' || view.rejecting !== undefined) return 'RollingBack';
  if (view.stage === undefined) return 'Batch';
  if (view.batch === undefined) return 'Preflight';
  return view.batch === 0 && !view.stage.canaryPassed ? 'Canary' : 'Batch';
}

/** A rollout begins with another target, and again when its revision is rejected, or tried once more. */
function startedAt({ profile, course, rejecting, nowMs }: RolloutView): string {
  const before = profile.status;
  const wasRejected = (before?.revision?.rejected ?? []).length > 0;
  const isSame =
    before?.revision?.target === course.target && rejecting === undefined && wasRejected === (course.kind === 'Back');
  return (isSame ? before.rollout?.startedAt : undefined) ?? timeText(nowMs);
}

interface Deadline {
  /** Undefined while the rollout waits for nothing that could be late. */
  readonly atMs: number | undefined;
  readonly isOver: boolean;
}

/** Counts from the last node that started or ended, and from the moment at which nothing held the rollout any more. */
function progressDeadline(view: RolloutView, found: Verdict, started: string): Deadline {
  const { profile, nodes, stage, spec, nowMs } = view;
  if (found.status !== 'True') return { atMs: undefined, isOver: false };
  const old = profile.status?.conditions?.find(({ type }) => type === 'Progressing');
  const wasLate = old?.reason === 'DeadlineExceeded';
  const movedMs = nodes.lastMovedAtMs();
  const resumedMs = old?.status === 'True' ? Date.parse(old.lastTransitionTime) : wasLate ? 0 : nowMs;
  const fromMs = Math.max(movedMs, resumedMs, Date.parse(started), stage?.soakUntilMs ?? 0);
  const atMs = fromMs + durationMs(spec.rollout.progressDeadline);
  return { atMs, isOver: nowMs >= atMs };
}

function progressOf(view: RolloutView, started: string, deadline: Deadline): ProxyProfileStatus['rollout'] {
  const { stage, batch, preview } = view;
  const soakUntilMs = stage?.soakUntilMs;
  return {
    step: stepOf(view),
    ...(stage === undefined || batch === undefined ? {} : { batch }),
    ...(stage === undefined || preview.batches === undefined ? {} : { of: Math.max(preview.batches, batch ?? 0) }),
    startedAt: started,
    ...(soakUntilMs === undefined ? {} : { soakUntil: timeText(soakUntilMs) }),
    ...(deadline.atMs === undefined || deadline.isOver ? {} : { deadlineAt: timeText(deadline.atMs) }),
  };
}

function revisionsOf(view: RolloutView): ProxyProfileStatus['revision'] {
  const { course, rejecting } = view;
  const isProven = course.kind === 'Forward' && isComplete(view);
  const lastGood = isProven ? course.target : course.lastGood;
  const rejected = rejecting ?? course.rejected;
  return {
    target: course.target,
    ...(lastGood === undefined ? {} : { lastGood }),
    ...(rejected === undefined ? {} : { rejected: [rejected] }),
  };
}

function optional<K extends string, T>(key: K, list: readonly T[]): Partial<Record<K, T[]>> {
  return list.length === 0 ? {} : ({ [key]: [...list] } as Record<K, T[]>);
}

export interface DatedStatus {
  readonly status: ProxyProfileStatus;
  /** When the status changes by itself. */
  readonly wakeAtMs: number | undefined;
}

/** Of a profile whose spec is valid. */
export function rolloutStatus(view: RolloutView): DatedStatus {
  const { profile, nowMs, stage, preview } = view;
  const findings = findConditions(view);
  const started = startedAt(view);
  const deadline = progressDeadline(view, findings.Progressing, started);
  if (deadline.isOver) {
    const { reason, message } = findings.Progressing;
    const late = `No node started or ended within spec.rollout.progressDeadline. ${reason}: ${message}`;
    findings.Progressing = { status: 'False', reason: 'DeadlineExceeded', message: late.slice(0, 30_000) };
  }
  const gates = (stage?.gates ?? []).map(({ name, outcome: result, message }) => ({
    name,
    result,
    message: message.slice(0, 1024),
  }));
  const status = {
    observedGeneration: profile.metadata.generation ?? 0,
    revision: revisionsOf(view),
    ...(isAccepted(view) ? { rollout: progressOf(view, started, deadline) } : {}),
    nodes: countNodes(view),
    ...optional('plan', isAccepted(view) ? preview.plan : []),
    ...optional('gates', gates),
    ...optional('problems', listProblems(view)),
    conditions: dateConditions(profile, findings, nowMs),
  };
  return { status, wakeAtMs: deadline.isOver ? undefined : deadline.atMs };
}

/** Of a profile whose spec is not valid: nothing is known of its nodes, and what they are to run stays as it was. */
export function invalidStatus(assignment: Assignment, nowMs: number): ProxyProfileStatus {
  const { profile } = assignment;
  const revision = profile.status?.revision;
  return {
    observedGeneration: profile.metadata.generation ?? 0,
    ...(revision === undefined ? {} : { revision }),
    conditions: dateConditions(profile, findInvalid(assignment), nowMs),
  };
}

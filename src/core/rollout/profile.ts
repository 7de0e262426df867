import type { RolloutEvent } from './transition.ts';
import { assessNode } from './assessment.ts';
import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { ProxyProfile, ProxyProfileSpec, ProxyProfileStatus } from '../api/proxy-profile.ts';
import type { RejectedRevision } from '../api/rollout-status.ts';
import { durationMs } from '../api/meta.ts';
import { canonicalJson } from '../revision.ts';
import { grantAction, settleActions, toSettle, type StateAction } from './actions.ts';
import { timeText } from '../time.ts';
import type { Assignment } from './assignment.ts';
import { countBudget } from './budget.ts';
import { findCourse, goalOf, targetFor, type Course, type KnownRevision } from './course.ts';
import { rolloutEvents } from './events.ts';
import type { GateRequest, GateResults } from './gates.ts';
import { chooseGrants, type Grant } from './grants.ts';
import type { PlanMemory } from './memory.ts';
import type { RolloutTarget } from './node.ts';
import type { Roster } from './roster.ts';
import { giveBack } from './give-back.ts';
import { withHandover, type HandoverFinding } from './handover.ts';
import { previewRollout } from './preview.ts';
import type { Scene } from './scene.ts';
import { matchesSelector } from './selector.ts';
import { findStage, type Stage, type Verdict } from './stage.ts';
import { invalidStatus, rolloutStatus } from './status.ts';
import { isAccepted, rolloutView } from './view.ts';

export interface ProfilePlan {
  readonly profile: ProxyProfile;
  readonly status: ProxyProfileStatus;
  /** Whether `status` differs from the one that the profile has. */
  readonly isChanged: boolean;
  /** Whether it differs in more than counts, so that it is worth a write at once. */
  readonly isUrgent: boolean;
  readonly events: readonly RolloutEvent[];
  /** The target, where the history does not end with it; undefined otherwise. */
  readonly record: KnownRevision | undefined;
}

export interface PlannedProfile extends ProfilePlan {
  readonly settle: readonly StateAction[];
  readonly grants: readonly StateAction[];
  readonly gateRequests: readonly GateRequest[];
  readonly wakeAtMs: readonly number[];
}

/** What a profile is planned from beside its own objects. */
export interface PlanContext {
  readonly states: readonly NodeProxyState[];
  /** By the UID of the profile, the newest last. */
  readonly histories: ReadonlyMap<string, readonly KnownRevision[]>;
  readonly gateResults: GateResults;
  readonly handover: ReadonlyMap<string, HandoverFinding>;
  /** Nodes that kube-proxy is kept off; worked out when it is asked for. */
  readonly keptOff: () => ReadonlySet<string>;
  readonly nowMs: number;
  /** Since when the objects come without a gap. */
  readonly hearsSinceMs: number;
  readonly memory: PlanMemory;
}

/** Counts, plans and messages may wait a moment; the rest may not. */
function gistOf({ observedGeneration, revision, rollout, gates, problems, conditions }: ProxyProfileStatus): string {
  return canonicalJson([
    [observedGeneration, revision, rollout?.step, rollout?.batch],
    gates?.map(({ name, result }) => [name, result]),
    problems?.map(({ node, reason }) => [node, reason]),
    conditions?.map(({ type, status, reason }) => [type, status, reason]),
  ]);
}

function isUrgent(before: ProxyProfileStatus | undefined, after: ProxyProfileStatus): boolean {
  return before === undefined || gistOf(before) !== gistOf(after);
}

/** What is written of a profile whose next status this is. */
export function tellPlan(
  profile: ProxyProfile,
  status: ProxyProfileStatus,
  events: readonly RolloutEvent[],
): ProfilePlan {
  const isChanged = canonicalJson(profile.status ?? {}) !== canonicalJson(status);
  return { profile, status, isChanged, isUrgent: isUrgent(profile.status, status), events, record: undefined };
}

function finishPlan(
  { profile }: Assignment,
  status: ProxyProfileStatus,
  rest: Pick<PlannedProfile, 'events'> & Partial<PlannedProfile>,
): PlannedProfile {
  const nothing = { settle: [], grants: [], gateRequests: [], wakeAtMs: [] };
  return { ...tellPlan(profile, status, []), ...nothing, ...rest };
}

/**
 * Remembers that the revision is no good, when the fleet is to go back. Nothing goes back in the plan that decides so:
 * first the decision has to be in the API server, since going back removes the failures that it rests on.
 */
function reject({ course, spec, nowMs }: Scene, { cause, message, batch }: Verdict): RejectedRevision | undefined {
  const { onFailure, retryToken } = spec.rollout;
  const { lastGood, target } = course;
  if (onFailure.fleet === 'Pause' || lastGood === undefined || course.configOf(lastGood) === undefined)
    return undefined;
  const isBatch = onFailure.fleet === 'RollbackBatch' && batch !== undefined;
  return {
    revision: target,
    ...(retryToken === '' ? {} : { retryToken }),
    scope: isBatch ? 'Batch' : 'All',
    ...(isBatch ? { batch } : {}),
    cause: cause.slice(0, 128),
    message: message.slice(0, 4096),
    at: timeText(nowMs),
  };
}

function isHeld({ rollout }: ProxyProfileSpec): boolean {
  return rollout.paused || rollout.dryRun;
}

/** The nodes as they stand, each judged by the revision that it is to run. */
function takeRoster(assignment: Assignment, spec: ProxyProfileSpec, course: Course, context: PlanContext): Roster {
  const { profile } = assignment;
  const { nowMs, hearsSinceMs, memory } = context;
  const { name, uid = '' } = profile.metadata;
  const { canary } = spec.rollout;
  const targets = new Map<string, RolloutTarget>();
  const targetOf = (goal: string): RolloutTarget => {
    const target = targets.get(goal) ?? targetFor(course, profile, spec, { revision: goal, hearsSinceMs });
    targets.set(goal, target);
    return target;
  };
  const { config: _config, ...general } = targetFor(course, profile, spec, {
    revision: course.target,
    hearsSinceMs,
  });
  const { kind, target, lastGood, rejected } = course;
  return memory.rosterOf(name).judge(assignment, {
    key: canonicalJson([name, kind, target, lastGood ?? null, rejected ?? null, general, canary.selector]),
    scope: {
      target,
      profile: { name, uid },
      isCanary: ({ node }) => matchesSelector(canary.selector, node.metadata.labels),
    },
    nowMs,
    knows: (revision) => course.configOf(revision) !== undefined,
    assess: (node, state) => {
      const goal = goalOf(course, state?.spec.nodeUID === node.metadata.uid ? state : undefined);
      return assessNode(node, state, targetOf(goal), nowMs);
    },
  });
}

function wakeTimes({ nowMs, spec, nodes }: Scene, grants: readonly Grant[], stage?: Stage): number[] {
  const times = [nodes.wakesAtMs()].filter((ms) => ms !== Infinity);
  if (grants.length > 0) times.push(nowMs + durationMs(spec.rollout.nodeDeadline));
  if (stage?.wakeAtMs !== undefined) times.push(stage.wakeAtMs);
  return times;
}

function newRecord({ course }: Scene, history: readonly KnownRevision[]): KnownRevision | undefined {
  const rendered = course.configOf(course.target);
  if (rendered === undefined || history.at(-1)?.revision === course.target) return undefined;
  return { revision: course.target, rendered };
}

interface Decision {
  readonly rejecting: RejectedRevision | undefined;
  readonly isStopped: boolean;
  readonly grants: readonly Grant[];
}

function decide(scene: Scene, stage: Stage | undefined, mayAct: boolean): Decision {
  if (!mayAct) return { rejecting: undefined, isStopped: false, grants: [] };
  const rejecting = stage?.verdict === undefined ? undefined : reject(scene, stage.verdict);
  if (rejecting !== undefined) return { rejecting, isStopped: false, grants: [] };
  const isStopped = stage?.verdict !== undefined;
  return { rejecting: undefined, isStopped, grants: chooseGrants(scene, stage, isStopped) };
}

function planInvalid(assignment: Assignment, nowMs: number): PlannedProfile {
  const status = invalidStatus(assignment, nowMs);
  return finishPlan(assignment, status, { events: rolloutEvents(assignment, status, undefined) });
}

function planGivenBack(assignment: Assignment, spec: ProxyProfileSpec, context: PlanContext): PlannedProfile {
  const { status, events, plan } = giveBack(assignment, spec, { nowMs: context.nowMs, keptOff: context.keptOff() });
  return finishPlan(assignment, status, { events, settle: plan.actions, wakeAtMs: plan.wakeAtMs });
}

/** One profile with the nodes that are its own. */
export function planProfile(assignment: Assignment, context: PlanContext): PlannedProfile {
  const { spec } = assignment;
  const isGivingBack = spec?.kubeProxy.policy === 'GiveBack';
  const planned = isGivingBack ? planGivenBack(assignment, spec, context) : planAssigned(assignment, context);
  const { profile } = assignment;
  const finding = context.handover.get(profile.metadata.name);
  const { status, events } = withHandover(profile, planned.status, finding, context.nowMs);
  return finding === undefined
    ? planned
    : finishPlan(assignment, status, { ...rest(planned), events: [...planned.events, ...events] });
}

function rest({ settle, grants, gateRequests, wakeAtMs, record }: PlannedProfile): Partial<PlannedProfile> {
  return { settle, grants, gateRequests, wakeAtMs, record };
}

function planAssigned(assignment: Assignment, context: PlanContext): PlannedProfile {
  const { states, histories, gateResults, nowMs } = context;
  const { spec, profile } = assignment;
  if (spec === null) return planInvalid(assignment, nowMs);
  const history = histories.get(profile.metadata.uid ?? '') ?? [];
  const course = findCourse(profile, spec, history, states);
  const nodes = takeRoster(assignment, spec, course, context);
  const budget = countBudget(nodes, spec.rollout);
  const scene: Scene = { profile, spec, course, nodes, budget, gateResults, nowMs };
  const stage = course.kind === 'Forward' ? findStage(scene) : undefined;
  const isValid = isAccepted({ assignment });
  const { rejecting, isStopped, grants } = decide(scene, stage, isValid && !isHeld(spec));
  const preview = previewRollout(scene, stage);
  const view = rolloutView({ ...scene, assignment, stage, rejecting, isStopped, preview, grants });
  const { status, wakeAtMs } = rolloutStatus(view);
  const granted = new Set(grants.map(({ node }) => node));
  return finishPlan(assignment, status, {
    events: rolloutEvents(assignment, status, view),
    settle: toSettle(scene)
      .filter((node) => !granted.has(node))
      .flatMap((node) => settleActions(scene, node)),
    grants: grants.flatMap((grant) => grantAction(scene, grant)),
    gateRequests: isValid && rejecting === undefined ? (stage?.gateRequests ?? []) : [],
    wakeAtMs: [...wakeTimes(scene, grants, stage), ...(wakeAtMs === undefined ? [] : [wakeAtMs])],
    record: isValid ? newRecord(scene, history) : undefined,
  });
}

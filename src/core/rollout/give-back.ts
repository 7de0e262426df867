import type { RolloutEvent } from './transition.ts';
import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { ProxyProfile, ProxyProfileSpec, ProxyProfileStatus } from '../api/proxy-profile.ts';
import type { Assignment } from './assignment.ts';
import type { Findings } from './conditions.ts';
import type { Verdict } from '../verdict.ts';
import { nameEvent } from './events.ts';
import { planGiveBack, type ReleasePlan, type ReleaseScene } from './release.ts';
import { dateConditions } from './status.ts';

export interface GiveBackPlan {
  readonly status: ProxyProfileStatus;
  readonly events: readonly RolloutEvent[];
  readonly plan: ReleasePlan;
}

/** Of a profile that gives its nodes back to kube-proxy: no revision is rolled out, and none is remembered as good. */
export function giveBack(assignment: Assignment, spec: ProxyProfileSpec, scene: ReleaseScene): GiveBackPlan {
  const { profile, nodes, states } = assignment;
  const own = nodes.flatMap(({ metadata }, at) => {
    const state = states[at];
    return state !== undefined && state.spec.nodeUID === metadata.uid ? [state] : [];
  });
  const isHeld = spec.rollout.paused || spec.rollout.dryRun;
  const plan = heldBack(planGiveBack(spec, own, scene), isHeld);
  const left = own.length - plan.actions.filter(({ kind }) => kind === 'Delete').length;
  const status: ProxyProfileStatus = {
    observedGeneration: profile.metadata.generation ?? 0,
    nodes: countsOf(assignment, own, left),
    conditions: dateConditions(profile, findingsOf(nodes.length, own, left, isHeld), scene.nowMs),
  };
  return { status, events: eventsOf(profile, status), plan };
}

/** A paused profile asks no further node; those that were asked go on. */
function heldBack(plan: ReleasePlan, isHeld: boolean): ReleasePlan {
  return isHeld ? { ...plan, actions: plan.actions.filter(({ kind }) => kind === 'Delete') } : plan;
}

function countsOf(
  { nodes, skipped, conflicts }: Assignment,
  own: readonly NodeProxyState[],
  left: number,
): NonNullable<ProxyProfileStatus['nodes']> {
  return {
    matched: nodes.length,
    updated: nodes.length - left,
    ready: 0,
    inProgress: own.filter(({ spec }) => spec.action === 'Release').length - (own.length - left),
    failed: 0,
    rolledBack: 0,
    waiting: own.filter(({ spec }) => spec.action !== 'Release').length,
    blocked: 0,
    skipped: skipped.length,
    agentMissing: 0,
    conflicted: conflicts.length,
  };
}

function findingsOf(matched: number, own: readonly NodeProxyState[], left: number, isHeld: boolean): Findings {
  const waiting = own.filter(({ spec }) => spec.action === 'Release').map(({ metadata }) => metadata.name);
  const isDone = left === 0;
  const message = isDone
    ? `kube-proxy serves ${matched} nodes; nothing of Switchyard is left on them.`
    : `${matched - left} of ${matched} nodes are given back to kube-proxy; under way: ${waiting.slice(0, 5).join(', ') || 'none'}.`;
  const given: Verdict = { status: 'False', reason: 'GivenBack', message };
  return {
    Accepted: { status: 'True', reason: 'Valid', message: 'spec.kubeProxy.policy is GiveBack.' },
    Progressing: isDone ? given : { status: 'True', reason: 'GivingBack', message },
    Available: given,
    Degraded: { status: 'False', reason: 'AsExpected', message: 'Nothing is rolled out.' },
    Paused: isHeld
      ? { status: 'True', reason: 'UserRequested', message: 'spec.rollout.paused or dryRun is true.' }
      : { status: 'False', reason: 'Running', message: 'Nothing waits for a person.' },
  };
}

function eventsOf(profile: ProxyProfile, next: ProxyProfileStatus): RolloutEvent[] {
  const reasonIn = (status: ProxyProfileStatus | undefined) =>
    status?.conditions?.find(({ type }) => type === 'Progressing');
  const now = reasonIn(next);
  if (now === undefined || reasonIn(profile.status)?.reason === now.reason) return [];
  const reason = now.status === 'True' ? 'GiveBackStarted' : 'GiveBackCompleted';
  return [nameEvent(profile, { type: 'Normal', reason, message: now.message })];
}

import { createHash } from 'node:crypto';
import type { ProxyProfile, ProxyProfileConditionType, ProxyProfileStatus } from './api/proxy-profile.ts';
import { canonicalJson } from './revision.ts';
import type { Assignment } from './rollout-assignment.ts';
import type { Finding } from './rollout-conditions.ts';
import { inPhase, type RolloutView } from './rollout-view.ts';

/** What to tell about a transition of a profile. The same transition always has the same `name`. */
export interface RolloutEvent {
  readonly name: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** The status that a profile has, and the one that it is to get. */
interface Transition {
  readonly profile: ProxyProfile;
  readonly next: ProxyProfileStatus;
}

function conditionOf(status: ProxyProfileStatus | undefined, type: ProxyProfileConditionType) {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** Named by what it is about and by the status it leads away from, so that telling it twice makes one event. */
function event(
  { profile }: Transition,
  content: Omit<RolloutEvent, 'name'>,
  about: unknown = profile.status?.conditions,
): RolloutEvent {
  const identity = canonicalJson([profile.metadata.uid, profile.metadata.generation, content.reason, about]);
  const digest = createHash('sha256').update(identity).digest('hex').slice(0, 16);
  return { name: `${profile.metadata.name.slice(0, 200)}.${digest}`, ...content };
}

const UNDER_WAY = ['BatchRunning', 'WaitingForSlot', 'Paused', 'FailureBudgetSpent', 'NodeFailed'];

function targetEvents(transition: Transition, view: RolloutView): RolloutEvent[] {
  const { profile } = transition;
  const old = profile.status?.revision?.target;
  if (old === view.revision) return [];
  const events: RolloutEvent[] = [];
  const wasUnderWay = UNDER_WAY.includes(conditionOf(profile.status, 'Progressing')?.reason ?? '');
  if (old !== undefined && wasUnderWay) {
    const message = `Revision ${old} is superseded by ${view.revision}; nodes in progress finish or go back first.`;
    events.push(event(transition, { type: 'Normal', reason: 'RolloutSuperseded', message }));
  }
  const message = `Revision ${view.revision} (${view.mode}) accepted for ${view.nodes.length} nodes.`;
  events.push(event(transition, { type: 'Normal', reason: 'RevisionAccepted', message }));
  return events;
}

/** What the new state of Progressing is worth telling, where it differs from the old one. */
function progressReason(oldReason: string | undefined, now: Finding): string | undefined {
  if (now.status === 'True') {
    return ['Paused', 'FailureBudgetSpent', 'NodeFailed'].includes(oldReason ?? '')
      ? 'RolloutResumed'
      : 'RolloutStarted';
  }
  const told: Record<string, string> = {
    Complete: 'RolloutCompleted',
    Paused: 'RolloutPaused',
    FailureBudgetSpent: 'FailureBudgetSpent',
  };
  return told[now.reason];
}

function progressEvents(transition: Transition, view: RolloutView): RolloutEvent[] {
  const { profile, next } = transition;
  const isSameTarget = profile.status?.revision?.target === view.revision;
  const old = isSameTarget ? conditionOf(profile.status, 'Progressing') : undefined;
  const now = conditionOf(next, 'Progressing');
  if (now === undefined) return [];
  const isSame = now.status === 'True' ? old?.status === 'True' : old?.reason === now.reason;
  const reason = isSame ? undefined : progressReason(old?.reason, now);
  if (reason === undefined) return [];
  const type = reason === 'FailureBudgetSpent' ? 'Warning' : 'Normal';
  return [event(transition, { type, reason, message: now.message })];
}

function nodeEvents(transition: Transition, view: RolloutView): RolloutEvent[] {
  const known = new Set((transition.profile.status?.problems ?? []).map(({ node, reason }) => `${node} ${reason}`));
  const failed = inPhase(view, 'Failed').flatMap(({ node, state, failure }) => {
    if (failure === undefined || known.has(`${node.metadata.name} ${failure.code}`)) return [];
    const message = `Node ${node.metadata.name} failed ${view.revision}: ${failure.code}: ${failure.message}`.slice(
      0,
      1000,
    );
    const about = [node.metadata.name, state?.spec.attempt?.id, failure.code];
    return [event(transition, { type: 'Warning', reason: 'NodeFailed', message }, about)];
  });
  const skipped = view.assignment.skipped.flatMap(({ metadata }) => {
    if (known.has(`${metadata.name} UnsupportedOperatingSystem`)) return [];
    const message = `Node ${metadata.name} is skipped: a Windows node; only Linux nodes are managed.`;
    return [event(transition, { type: 'Normal', reason: 'NodeSkipped', message }, [metadata.name, metadata.uid])];
  });
  return [...failed, ...skipped];
}

function refusalEvents(transition: Transition): RolloutEvent[] {
  const old = conditionOf(transition.profile.status, 'Accepted');
  const now = conditionOf(transition.next, 'Accepted');
  if (now === undefined || now.status === 'True') return [];
  if (old?.reason === now.reason && old.observedGeneration === now.observedGeneration) return [];
  return [event(transition, { type: 'Warning', reason: now.reason, message: now.message.slice(0, 1000) })];
}

/**
 * The events of the step from the status that a profile has to its next one: none when nothing changes, so a controller
 * that starts anew repeats nothing.
 */
export function rolloutEvents(
  assignment: Assignment,
  next: ProxyProfileStatus,
  view: RolloutView | undefined,
): RolloutEvent[] {
  const transition: Transition = { profile: assignment.profile, next };
  const refusals = refusalEvents(transition);
  if (view === undefined) return refusals;
  if (refusals.length > 0 || conditionOf(next, 'Accepted')?.status !== 'True') return refusals;
  return [...targetEvents(transition, view), ...progressEvents(transition, view), ...nodeEvents(transition, view)];
}

import { AT_REST, conditionOf, type EventContent, type RolloutEvent, type Transition } from './transition.ts';
import type { ProxyProfile, ProxyProfileStatus } from '../api/proxy-profile.ts';
import { AGENT_LOST } from '../node/agent-lease.ts';
import { INPUTS_STALE } from '../node/unread-inputs.ts';
import { eventName } from '../event-name.ts';
import { canonicalJson } from '../revision.ts';
import type { Assignment } from './assignment.ts';
import type { NodeAssessment } from './node.ts';
import { progressEvents } from './progress-events.ts';
import { stepEvents } from './step-events.ts';
import { inPhase, LONG_NOT_READY, modeOf, nodeCount, UNSUPPORTED_OS, type RolloutView } from './view.ts';

const MAX_MESSAGE = 1_000;

/**
 * Named by what it is about and by the status it leads away from, so that telling it twice makes one event. `of` tells it
 * from what another wish of the user leads to from the same status.
 */
export function nameEvent(
  profile: ProxyProfile,
  { about, ...content }: EventContent,
  of: unknown = profile.metadata.generation,
): RolloutEvent {
  const { name, uid } = profile.metadata;
  const identity = canonicalJson([uid, of, content.reason, about ?? profile.status?.conditions ?? null]);
  return { ...content, message: content.message.slice(0, MAX_MESSAGE), name: eventName(name, identity) };
}

function targetEvents({ profile }: Transition, view: RolloutView): EventContent[] {
  const old = profile.status?.revision?.target;
  const { target } = view.course;
  const wasRefused = conditionOf(profile.status, 'Accepted')?.status === 'False';
  if (old === target && !wasRefused) return [];
  const reason = conditionOf(profile.status, 'Progressing')?.reason;
  const events: EventContent[] = [];
  if (old !== undefined && old !== target && reason !== undefined && !AT_REST.includes(reason)) {
    const message = `Revision ${old} is superseded by ${target}; nodes in progress finish or go back first.`;
    events.push({ type: 'Normal', reason: 'RolloutSuperseded', message });
  }
  const message = `Revision ${target} (${modeOf(view)}) accepted for ${nodeCount(view.nodes.length)}.`;
  events.push({ type: 'Normal', reason: 'RevisionAccepted', message });
  return events;
}

const SKIPPED = [UNSUPPORTED_OS, LONG_NOT_READY, 'PreflightFailed', 'BaselineProbeFailed'];

function whatFailed({ goal }: NodeAssessment, { course: { target } }: RolloutView): string {
  return goal === target ? `failed ${target}` : `could not go back to ${goal}`;
}

/** Of the nodes that the status names now and did not before; the others are told of by its counts. */
function nodeEvents({ profile, next }: Transition, view: RolloutView): EventContent[] {
  const key = ({ node, reason }: { node: string; reason: string }) => `${node} ${reason}`;
  const known = new Set((profile.status?.problems ?? []).map(key));
  const news = (next.problems ?? []).filter((problem) => !known.has(key(problem)));
  const failed = new Map(inPhase(view, 'Failed').map((each) => [each.node.metadata.name, each]));
  return news.flatMap(({ node, reason, message }): EventContent[] => {
    const assessment = failed.get(node);
    if (assessment?.failure?.code === reason) {
      const { attempt, settled } = assessment.state?.spec ?? {};
      const about = [node, attempt?.id ?? settled, reason];
      const text = `Node ${node} ${whatFailed(assessment, view)}: ${reason}: ${message}`;
      return [{ type: 'Warning', reason: 'NodeFailed', message: text, about }];
    }
    const about = [node, reason, profile.status?.conditions ?? null];
    if (reason === AGENT_LOST) return [{ type: 'Warning', reason, message: `Node ${node}: ${message}`, about }];
    if (!SKIPPED.includes(reason)) return [];
    return [{ type: 'Normal', reason: 'NodeSkipped', message: `Node ${node} is skipped: ${message}`, about }];
  });
}

/** What is wrong with nodes beside the rollout. */
function ailmentEvents({ profile, next }: Transition): EventContent[] {
  const now = conditionOf(next, 'Degraded');
  const isNews = now !== undefined && conditionOf(profile.status, 'Degraded')?.reason !== now.reason;
  if (!isNews || !['AgentsMissing', 'DriftPersistent', INPUTS_STALE].includes(now.reason)) return [];
  return [{ type: 'Warning', reason: now.reason, message: now.message }];
}

function refusalEvents({ profile, next }: Transition): EventContent[] {
  const old = conditionOf(profile.status, 'Accepted');
  const now = conditionOf(next, 'Accepted');
  if (now === undefined || now.status === 'True') return [];
  if (old?.reason === now.reason && old.observedGeneration === now.observedGeneration) return [];
  return [{ type: 'Warning', reason: now.reason, message: now.message }];
}

/**
 * The events of the step from the status that a profile has to its next one: none when nothing changes, so a controller
 * that starts anew repeats nothing.
 */
export function rolloutEvents(
  { profile }: Assignment,
  next: ProxyProfileStatus,
  view: RolloutView | undefined,
): RolloutEvent[] {
  const transition: Transition = { profile, next };
  const refusals = refusalEvents(transition);
  const isRefused = view === undefined || refusals.length > 0 || conditionOf(next, 'Accepted')?.status !== 'True';
  const contents = isRefused
    ? refusals
    : [
        ...targetEvents(transition, view),
        ...stepEvents(transition, view),
        ...progressEvents(transition, view),
        ...nodeEvents(transition, view),
        ...ailmentEvents(transition),
      ];
  // An edit of the knobs of a rollout leads nowhere else.
  const of = isRefused ? profile.metadata.generation : view.course.target;
  return contents.map((content) => nameEvent(profile, content, of));
}

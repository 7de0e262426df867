import type { AttemptPhase, NodeProxyState } from '../api/node-proxy-state.ts';
import type { BuiltinGate } from '../api/rollout-spec.ts';
import { failingGate, isBlind, readyCondition } from './health.ts';
import type { Illness, NodeFailure, NodePhase, RolloutTarget } from './node.ts';

/** The revision that a spec asks its node to run; none when it asks for everything of ours to go. */
export function askedRevision({ spec }: NodeProxyState): string | undefined {
  return spec.action === 'Release' ? undefined : spec.revision;
}

const OVER: readonly AttemptPhase[] = ['RolledBack', 'Failed'];

/**
 * Runs what its spec says and serves, and no gate that its agent tries fails. While an attempt is there the agent must
 * have seen this very spec; without one, the last change of the spec changed nothing that the node acts on, so a status
 * from before it is as good.
 */
export function isHealthy(state: NodeProxyState, gates: readonly BuiltinGate[] = []): boolean {
  const { metadata, spec, status } = state;
  const isObserved = spec.attempt === undefined || status?.observedGeneration === metadata.generation;
  const isReady = readyCondition(state)?.status === 'True';
  if (!isObserved || !isReady || status?.current?.revision !== spec.revision) return false;
  return failingGate(state, gates) === undefined;
}

/**
 * A failure of the attempt in its spec, in the words of the agent. It stays one when the agent begins anew by itself, as
 * it does on a node that has nothing to go back to.
 */
function reportedFailure({ spec, status }: NodeProxyState): NodeFailure | undefined {
  const { attempt, revision } = spec;
  if (attempt === undefined || status === undefined) return undefined;
  const ended = status.attempt?.id === attempt.id && OVER.includes(status.attempt.phase);
  const last = status.lastFailure?.revision === revision ? status.lastFailure : undefined;
  if (!ended && (last === undefined || !isOfAttempt(last, attempt))) return undefined;
  const { code, message } = last ?? { code: 'Failed', message: 'the agent gives no reason' };
  return { code, message, isReported: ended };
}

/** Runs the revision, and its agent cannot see enough to prove it: that is waited for, also past the deadline. */
function servesUnseen(state: NodeProxyState): boolean {
  return isBlind(state) && state.status?.current?.revision === state.spec.revision;
}

/** So long agents may need to write their status to an API server that is back. */
const REPORTS_WITHIN_MS = 60_000;

/** An agent that may have had nobody to tell, since nothing was heard for some of its time, is given the time to. */
function overdueAtMs({ grantedAt, deadlineAt }: Granted, { hearsSinceMs }: RolloutTarget): number {
  // Of a grant only the second is known.
  const wasHeard = Date.parse(grantedAt) + 1_000 > hearsSinceMs;
  return Math.max(Date.parse(deadlineAt), wasHeard ? 0 : hearsSinceMs + REPORTS_WITHIN_MS);
}

function overdueFailure(state: NodeProxyState, target: RolloutTarget, nowMs: number): NodeFailure | undefined {
  const { metadata, spec, status } = state;
  if (spec.attempt === undefined || nowMs < overdueAtMs(spec.attempt, target) || servesUnseen(state)) return undefined;
  const failing = failingGate(state, target.gates);
  if (failing !== undefined && status?.current?.revision === spec.revision) return { ...failing, isReported: false };
  const hasSeen = status?.observedGeneration === metadata.generation;
  const message = hasSeen
    ? `not Ready in the revision by ${spec.attempt.deadlineAt}; see the conditions of its NodeProxyState`
    : `its agent did not take up the change by ${spec.attempt.deadlineAt}; check that the agent runs on the node`;
  return { code: hasSeen ? 'DeadlineExceeded' : 'NoAnswer', message, isReported: false };
}

type Told = NonNullable<NonNullable<NodeProxyState['status']>['lastFailure']>;
type Granted = NonNullable<NodeProxyState['spec']['attempt']>;

/** Agents that do not say which try it was go by the time, which a clock that is ahead makes that of a later try. */
function isOfAttempt({ attempt: told, at }: Told, { id, grantedAt }: Granted): boolean {
  return told === undefined ? Date.parse(at) >= Date.parse(grantedAt) : told === id;
}

/** Of an attempt that its agent ended before it touched anything. */
const TOUCHED_NOTHING = 'BaselineProbeFailed';

/**
 * A probe that its profile names failed before the change, so the node keeps what it runs. That says nothing about the
 * revision: the node is no candidate until its agent, which goes on trying, says that every probe passes.
 */
export function refusedBefore(state: NodeProxyState, target: RolloutTarget): Illness | undefined {
  if (askedRevision(state) !== target.revision || !isSameWish(state, target)) return undefined;
  const failure = reportedFailure(state);
  if (failure === undefined || !isRefusal(failure)) return undefined;
  const { probes = [] } = state.status ?? {};
  if (probes.length > 0 && probes.every(({ result }) => result !== 'Fail')) return undefined;
  return { code: TOUCHED_NOTHING, message: failure.message, sinceMs: 0 };
}

/** A profile made anew, or another retry token, is a new wish: what failed before is tried again. */
function isSameWish({ spec }: NodeProxyState, target: RolloutTarget): boolean {
  return spec.profile.uid === target.profileUid && (spec.attempt?.retryToken ?? '') === target.retryToken;
}

function isRefusal({ code, isReported }: NodeFailure): boolean {
  return code === TOUCHED_NOTHING && isReported;
}

/** How far the node has come with what its spec says. */
export interface Outcome {
  readonly phase: NodePhase;
  readonly failure?: NodeFailure | undefined;
  /** Its agent may still be at work on it. */
  readonly isPending: boolean;
  readonly changesAtMs?: number | undefined;
}

export function outcome(state: NodeProxyState | undefined, target: RolloutTarget, nowMs: number): Outcome {
  if (state === undefined) return { phase: 'Waiting', isPending: false };
  const { spec } = state;
  const isTarget = askedRevision(state) === target.revision;
  if (spec.attempt === undefined || isHealthy(state, target.gates)) {
    return { phase: isTarget ? 'Done' : 'Waiting', isPending: false };
  }
  const failure = reportedFailure(state) ?? overdueFailure(state, target, nowMs);
  if (failure === undefined) {
    const changesAtMs = servesUnseen(state) ? Infinity : overdueAtMs(spec.attempt, target);
    return { phase: 'InFlight', isPending: true, changesAtMs };
  }
  if (isRefusal(failure)) return { phase: 'Waiting', isPending: false };
  const isPending = !failure.isReported;
  if (isTarget && isSameWish(state, target)) return { phase: 'Failed', failure, isPending };
  return { phase: 'Waiting', isPending };
}

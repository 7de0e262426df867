import type { AttemptPhase, NodeProxyState } from './api/node-proxy-state.ts';
import type { BuiltinGate } from './api/rollout-spec.ts';
import { failingGate, readyCondition } from './rollout-health.ts';
import type { NodeFailure, NodePhase, RolloutTarget } from './rollout-node.ts';

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
  const isOfThisAttempt = last !== undefined && Date.parse(last.at) >= Date.parse(attempt.grantedAt);
  if (!ended && !isOfThisAttempt) return undefined;
  const { code, message } = last ?? { code: 'Failed', message: 'the agent gives no reason' };
  return { code, message, isReported: ended };
}

function overdueFailure(state: NodeProxyState, gates: readonly BuiltinGate[], nowMs: number): NodeFailure | undefined {
  const { metadata, spec, status } = state;
  if (spec.attempt === undefined || nowMs < Date.parse(spec.attempt.deadlineAt)) return undefined;
  const failing = failingGate(state, gates);
  if (failing !== undefined && status?.current?.revision === spec.revision) return { ...failing, isReported: false };
  const hasSeen = status?.observedGeneration === metadata.generation;
  const message = hasSeen
    ? `not Ready in the revision by ${spec.attempt.deadlineAt}; see the conditions of its NodeProxyState`
    : `its agent did not take up the change by ${spec.attempt.deadlineAt}; check that the agent runs on the node`;
  return { code: hasSeen ? 'DeadlineExceeded' : 'NoAnswer', message, isReported: false };
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
  const failure = reportedFailure(state) ?? overdueFailure(state, target.gates, nowMs);
  if (failure === undefined) {
    return { phase: 'InFlight', isPending: true, changesAtMs: Date.parse(spec.attempt.deadlineAt) };
  }
  const isPending = !failure.isReported;
  // A profile made anew, or another retry token, is a new wish: what failed before is tried again.
  const isSameWish = spec.profile.uid === target.profileUid && (spec.attempt.retryToken ?? '') === target.retryToken;
  if (isTarget && isSameWish) return { phase: 'Failed', failure, isPending };
  return { phase: 'Waiting', isPending };
}

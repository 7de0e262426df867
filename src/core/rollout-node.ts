import type { ObjectMeta } from './api/meta.ts';
import type { AttemptPhase, NodeProxyState } from './api/node-proxy-state.ts';

/** The fields of a core/v1 Node that decide about its rollout. */
export interface RolloutNode {
  readonly metadata: Pick<ObjectMeta, 'name' | 'uid' | 'labels' | 'creationTimestamp'>;
  readonly status?: {
    readonly nodeInfo?: { readonly operatingSystem?: string };
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/**
 * Where a node is on its way to the target revision:
 * - `Waiting`: not granted yet (or granted another revision, and done with that).
 * - `InFlight`: granted, in whatever revision, and neither done nor failed; holds a slot.
 * - `Failed`: granted the target revision and failed; not tried again in this revision.
 * - `Done`: has come to run the target revision. It may be not Ready since, for another cause.
 */
export type NodePhase = 'Waiting' | 'InFlight' | 'Failed' | 'Done';

export interface NodeFailure {
  readonly code: string;
  readonly message: string;
  /** The agent says so itself and touches nothing more; otherwise only the deadline passed, and it may still act. */
  readonly isReported: boolean;
}

/** What the objects say about one node, at one moment and towards one target. */
export interface NodeAssessment {
  readonly node: RolloutNode;
  /** The state of this very node; undefined when there is none, or one of an earlier node of that name. */
  readonly state: NodeProxyState | undefined;
  /** The state of an earlier node of that name; it has to go first. */
  readonly leftover: NodeProxyState | undefined;
  readonly phase: NodePhase;
  readonly failure: NodeFailure | undefined;
  /** The agent says Ready=True, in whatever revision, and the node can be reached. */
  readonly isReady: boolean;
  /** Runs the target revision. */
  readonly isUpdated: boolean;
  /** The kubelet is silent: nothing that is granted now would be noticed. */
  readonly isUnreachable: boolean;
  /** Counts against maxUnavailable. */
  readonly isUnavailable: boolean;
}

/** What a node is brought to, and for whom. */
export interface RolloutTarget {
  readonly revision: string;
  readonly profileUid: string;
}

const OVER: readonly AttemptPhase[] = ['RolledBack', 'Failed'];

export function readyCondition(state: NodeProxyState | undefined) {
  return state?.status?.conditions?.find(({ type }) => type === 'Ready');
}

/**
 * Runs what its spec says and serves. While an attempt is there the agent must have seen this very spec; without one, the
 * last change of the spec changed nothing that the node acts on, so a status from before it is as good.
 */
export function isHealthy({ metadata, spec, status }: NodeProxyState): boolean {
  const isObserved = spec.attempt === undefined || status?.observedGeneration === metadata.generation;
  const isReady = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
  return isObserved && isReady && status?.current?.revision === spec.revision;
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

function overdueFailure({ metadata, spec, status }: NodeProxyState, nowMs: number): NodeFailure | undefined {
  if (spec.attempt === undefined || nowMs < Date.parse(spec.attempt.deadlineAt)) return undefined;
  const hasSeen = status?.observedGeneration === metadata.generation;
  const message = hasSeen
    ? `not Ready in the revision by ${spec.attempt.deadlineAt}; see the conditions of its NodeProxyState`
    : `its agent did not take up the change by ${spec.attempt.deadlineAt}; check that the agent runs on the node`;
  return { code: hasSeen ? 'DeadlineExceeded' : 'NoAnswer', message, isReported: false };
}

type Outcome = { readonly phase: NodePhase; readonly failure?: NodeFailure; readonly isPending: boolean };

function outcome(state: NodeProxyState | undefined, target: RolloutTarget, nowMs: number): Outcome {
  if (state === undefined) return { phase: 'Waiting', isPending: false };
  const isTarget = state.spec.revision === target.revision;
  if (state.spec.attempt === undefined || isHealthy(state)) {
    return { phase: isTarget ? 'Done' : 'Waiting', isPending: false };
  }
  const failure = reportedFailure(state) ?? overdueFailure(state, nowMs);
  if (failure === undefined) return { phase: 'InFlight', isPending: true };
  const isPending = !failure.isReported;
  // A profile made anew is a new wish, also under its old name: what failed for another one is tried again.
  if (isTarget && state.spec.profile.uid === target.profileUid) return { phase: 'Failed', failure, isPending };
  return { phase: 'Waiting', isPending };
}

function isSilent({ status }: RolloutNode): boolean {
  return status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'Unknown') ?? false;
}

export function assessNode(
  node: RolloutNode,
  found: NodeProxyState | undefined,
  target: RolloutTarget,
  nowMs: number,
): NodeAssessment {
  const isOwn = found?.spec.nodeUID === node.metadata.uid;
  const state = isOwn ? found : undefined;
  const isUnreachable = isSilent(node);
  const { phase, failure, isPending } = outcome(state, target, nowMs);
  const isReady = readyCondition(state)?.status === 'True' && !isUnreachable;
  return {
    node,
    state,
    leftover: isOwn ? undefined : found,
    phase,
    failure,
    isReady,
    isUpdated: state?.status?.current?.revision === target.revision,
    isUnreachable,
    isUnavailable: !isReady || isPending,
  };
}

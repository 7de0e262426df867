import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { BuiltinGate } from '../api/rollout-spec.ts';
import {
  failingGate,
  isAgentLost,
  isAgentServing,
  isBlind,
  nodeReady,
  persistentDrift,
  readyCondition,
} from './health.ts';
import type { Illness, NodeAssessment, NodePhase, RolloutNode, RolloutTarget } from './node.ts';
import { orderOf } from './order.ts';
import { askedRevision, outcome, refusedBefore, type Outcome } from './outcome.ts';

/** What is wrong with a node that came to run the revision, and since when. */
function illness(node: RolloutNode, state: NodeProxyState, gates: readonly BuiltinGate[]): Illness | undefined {
  const ready = readyCondition(state);
  if (!isAgentServing(state)) {
    const { reason: code = 'NoStatus', message = 'its agent has not reported' } = ready ?? {};
    return { code, message, sinceMs: Date.parse(ready?.lastTransitionTime ?? '') || 0 };
  }
  const gate = failingGate(state, gates);
  if (gate !== undefined) return gate;
  const kubelet = nodeReady(node);
  if (!gates.includes('NodeReady') || kubelet === undefined || kubelet.status === 'True') return undefined;
  return { code: 'NodeNotReady', message: `the Node says Ready=${kubelet.status}`, sinceMs: kubelet.sinceMs };
}

/** A node that is done fails after all when it is ill for too long while its revision is on trial. */
function onTrial(
  before: Outcome,
  settled: NodeProxyState['spec']['settled'],
  ill: Illness | undefined,
  time: { readonly illAfterMs: number; readonly nowMs: number },
): Outcome {
  if (before.phase !== 'Done' || settled?.batch === undefined || ill === undefined) return before;
  const failsAtMs = Math.max(ill.sinceMs, Date.parse(settled.at)) + time.illAfterMs;
  if (time.nowMs < failsAtMs) return { ...before, changesAtMs: failsAtMs };
  const message = `was well in the revision, then ill: ${ill.message}`;
  return { ...before, phase: 'Failed', failure: { code: ill.code, message, isReported: true } };
}

function missingMode(state: NodeProxyState | undefined, { config }: RolloutTarget): Illness | undefined {
  const preflight = state?.status?.preflight;
  if (preflight === undefined || config === undefined || preflight.modes.includes(config.mode)) return undefined;
  const message = preflight.missing.join('; ') || `this node cannot run ${config.mode} mode`;
  return { code: 'PreflightFailed', message, sinceMs: 0 };
}

/** What it would be brought to could not be judged. */
function blindness(state: NodeProxyState): Illness | undefined {
  if (!isBlind(state)) return undefined;
  const { reason: code = '', message = '' } = readyCondition(state) ?? {};
  return { code, message, sinceMs: 0 };
}

function blockedBy(state: NodeProxyState | undefined, target: RolloutTarget, node: RolloutNode): Illness | undefined {
  const known = state === undefined ? undefined : (refusedBefore(state, target) ?? blindness(state));
  const refusal = missingMode(state, target) ?? known;
  if (refusal !== undefined) return refusal;
  // On a node that serves nothing there is nothing to compare with, and the proxy may be what it needs to become Ready.
  if (state === undefined || !isAgentServing(state) || nodeReady(node)?.status === 'Unknown') return undefined;
  const ill = illness(node, state, target.gates);
  if (ill === undefined) return undefined;
  return { ...ill, code: 'BaselineProbeFailed', message: `before the change already: ${ill.code}: ${ill.message}` };
}

/** What the kubelet says; nothing is known of a Node without the condition, so it counts for nothing. */
interface Liveness {
  readonly isUnreachable: boolean;
  readonly isNotReady: boolean;
  /** When the node is given up; never while the kubelet is Ready. */
  readonly deadAtMs: number;
}

function livenessOf(node: RolloutNode, ignoreNotReadyAfterMs: number): Liveness {
  const kubelet = nodeReady(node);
  if (kubelet === undefined || kubelet.status === 'True') {
    return { isUnreachable: false, isNotReady: false, deadAtMs: Infinity };
  }
  const deadAtMs = kubelet.sinceMs + ignoreNotReadyAfterMs;
  return { isUnreachable: kubelet.status === 'Unknown', isNotReady: true, deadAtMs };
}

function timeOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text);
}

function recordOf(
  state: NodeProxyState | undefined,
  { profileUid }: RolloutTarget,
  phase: NodePhase,
): Pick<NodeAssessment, 'batch' | 'grantedAtMs' | 'settledAtMs'> {
  const { attempt, settled, profile } = state?.spec ?? {};
  // The batches of another profile say nothing about a trial of this one.
  const isOwn = profile?.uid === profileUid || phase === 'InFlight';
  const batch = attempt === undefined ? settled?.batch : attempt.batch;
  return {
    batch: isOwn ? batch : undefined,
    grantedAtMs: timeOf(attempt?.grantedAt),
    settledAtMs: timeOf(settled?.at),
  };
}

interface Judged {
  readonly seen: Outcome;
  readonly ill: Illness | undefined;
}

function judge(node: RolloutNode, state: NodeProxyState | undefined, target: RolloutTarget, nowMs: number): Judged {
  const granted = outcome(state, target, nowMs);
  if (state === undefined) return { seen: granted, ill: undefined };
  const ill = illness(node, state, target.gates);
  const { illAfterMs } = target;
  if (illAfterMs === null || isBlind(state) || diedLater(node, state, illAfterMs)) return { seen: granted, ill };
  return { seen: onTrial(granted, state.spec.settled, ill, { illAfterMs, nowMs }), ill };
}

/** A machine that falls silent soon after its change may have died of it; one that does so later died by chance. */
function diedLater(node: RolloutNode, { spec: { settled } }: NodeProxyState, illAfterMs: number): boolean {
  const kubelet = nodeReady(node);
  if (kubelet?.status !== 'Unknown') return false;
  return settled === undefined || kubelet.sinceMs > Date.parse(settled.at) + illAfterMs;
}

type Service = Pick<NodeAssessment, 'isReady' | 'isWell' | 'isUpdated' | 'servesGoal' | 'isUnavailable'>;

/** What the node serves now. */
function serviceOf(
  state: NodeProxyState | undefined,
  { revision }: RolloutTarget,
  { isUnreachable, isNotReady }: Liveness,
  { seen: { isPending }, ill }: Judged,
): Service {
  if (state === undefined) {
    return { isReady: false, isWell: false, isUpdated: false, servesGoal: false, isUnavailable: true };
  }
  const isReady = isAgentServing(state) && !isUnreachable;
  const isUpdated = state.status?.current?.revision === revision;
  return {
    isReady,
    isWell: isReady && ill === undefined,
    isUpdated,
    servesGoal: isUpdated && isReady && !isPending && askedRevision(state) !== revision,
    isUnavailable: !isReady || isPending || isNotReady,
  };
}

/** Drift counts once it persists. */
function driftOf(state: NodeProxyState | undefined, nowMs: number) {
  const drift = persistentDrift(state);
  if (drift === undefined) return { drift, driftAtMs: Infinity };
  return drift.persistsFromMs <= nowMs
    ? { drift, driftAtMs: Infinity }
    : { drift: undefined, driftAtMs: drift.persistsFromMs };
}

/** What the objects say about one node; equal objects at an equal time say the same. */
export function assessNode(
  node: RolloutNode,
  found: NodeProxyState | undefined,
  target: RolloutTarget,
  nowMs: number,
): NodeAssessment {
  const isOwn = found?.spec.nodeUID === node.metadata.uid;
  const state = isOwn ? found : undefined;
  const liveness = livenessOf(node, target.ignoreNotReadyAfterMs);
  const judged = judge(node, state, target, nowMs);
  const { phase, failure, changesAtMs = Infinity } = judged.seen;
  const isIdle = phase === 'Waiting' || phase === 'Done';
  const deadAtMs = liveness.deadAtMs > nowMs ? liveness.deadAtMs : Infinity;
  const { drift, driftAtMs } = driftOf(state, nowMs);
  return {
    node,
    state,
    leftover: isOwn ? undefined : found,
    order: orderOf(node),
    goal: target.revision,
    phase,
    failure,
    blocked: phase === 'Waiting' ? blockedBy(state, target, node) : undefined,
    ...serviceOf(state, target, liveness, judged),
    isUnreachable: liveness.isUnreachable,
    isLost: isAgentLost(state),
    isBlind: isBlind(state),
    drift,
    isSkipped: isIdle && nowMs >= liveness.deadAtMs,
    ...recordOf(state, target, phase),
    changesAtMs: Math.min(changesAtMs, deadAtMs, driftAtMs),
  };
}

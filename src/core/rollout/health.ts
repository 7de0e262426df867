import { AGENT_LOST } from '../node/agent-lease.ts';
import { INPUTS_STALE } from '../node/unread-inputs.ts';
import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { BuiltinGate } from '../api/rollout-spec.ts';
import type { Illness, RolloutNode } from './node.ts';

type Reported = Pick<NodeProxyState, 'status'>;

export function conditionOf(state: Reported | undefined, type: string) {
  return state?.status?.conditions?.find((condition) => condition.type === type);
}

export function readyCondition(state: Reported | undefined) {
  return conditionOf(state, 'Ready');
}

/** Serves what it ran before, and is in sync, after an attempt that failed. */
export function isServingAfterRollback(state: Reported): boolean {
  const { status } = state;
  const hasReturned = status?.attempt?.phase === 'RolledBack' && status.lastFailure?.rolledBack === true;
  return hasReturned && status.current !== undefined && conditionOf(state, 'DataplaneSynced')?.status === 'True';
}

/** It was said of its agent that nobody has heard it for too long, and it has not spoken since. */
export function isAgentLost(state: Reported | undefined): boolean {
  return readyCondition(state)?.reason === AGENT_LOST;
}

/**
 * Serves, and its agent cannot read what it programs. That says nothing of the revision, and neither good nor bad can be said
 * of it until the agent can; where one agent lost a right, all may have.
 */
export function isBlind(state: Reported | undefined): boolean {
  return readyCondition(state)?.reason === INPUTS_STALE;
}

/** The data plane serves, in whatever revision, and its agent is there. */
export function isAgentServing(state: Reported): boolean {
  return readyCondition(state)?.status === 'True' || (isServingAfterRollback(state) && !isAgentLost(state));
}

/** Longer than an agent goes on saying that something drifted, so that it must have drifted again and again. */
const PERSISTENT_DRIFT_MS = 600_000;

/** Rules or settings that somebody else keeps changing, and since or from when that is so; undefined without any drift. */
export function persistentDrift(
  state: Reported | undefined,
): (Illness & { readonly persistsFromMs: number }) | undefined {
  const drifted = conditionOf(state, 'Drifted');
  if (drifted?.status !== 'True') return undefined;
  const sinceMs = Date.parse(drifted.lastTransitionTime) || 0;
  const isContested = drifted.reason === 'RulesContested';
  const persistsFromMs = isContested ? sinceMs : sinceMs + PERSISTENT_DRIFT_MS;
  return { code: drifted.reason, message: drifted.message, sinceMs, persistsFromMs };
}

/** The Ready condition of the Node; undefined when nobody has said anything. */
export function nodeReady({ status }: RolloutNode): { readonly status: string; readonly sinceMs: number } | undefined {
  const found = status?.conditions?.find(({ type }) => type === 'Ready');
  if (found === undefined) return undefined;
  // Without a time, silence is taken to have just begun: nothing is given up too early.
  return { status: found.status, sinceMs: Date.parse(found.lastTransitionTime ?? '') || Infinity };
}

/** The first of the gates that the agent has tried and found failing; what it has not tried fails nothing. */
export function failingGate(state: Reported, gates: readonly BuiltinGate[]): Illness | undefined {
  for (const { name, result, message = '', at } of state.status?.probes ?? []) {
    if (result !== 'Fail' || !gates.includes(name as BuiltinGate)) continue;
    return { code: 'GateFailed', message: `${name}: ${message}`, sinceMs: Date.parse(at) || 0 };
  }
  return undefined;
}

/** Gates that the agent has tried without an answer. */
export function inconclusiveGates(state: Reported, gates: readonly BuiltinGate[]): string[] {
  const probes = state.status?.probes ?? [];
  return probes.flatMap(({ name, result }) =>
    result === 'Inconclusive' && gates.includes(name as BuiltinGate) ? [name] : [],
  );
}

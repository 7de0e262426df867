import type { NodeProxyState } from './api/node-proxy-state.ts';
import type { BuiltinGate } from './api/rollout-spec.ts';
import type { RolloutNode } from './rollout-node.ts';

/** What is wrong with a node. */
export interface Illness {
  readonly code: string;
  readonly message: string;
  /** Since when, in milliseconds since 1970; 0 when that is not told. */
  readonly sinceMs: number;
}

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

/** The data plane serves, in whatever revision. */
export function isAgentServing(state: Reported): boolean {
  return readyCondition(state)?.status === 'True' || isServingAfterRollback(state);
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

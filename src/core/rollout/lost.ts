import { AGENT_LEASE_MS, AGENT_LOST, agentLeaseName } from '../node/agent-lease.ts';
import type { Condition } from '../api/meta.ts';
import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { StateAction } from './actions.ts';
import { isAgentLost, readyCondition } from './health.ts';
import { timeText } from '../time.ts';

function lostCondition({ metadata, status }: NodeProxyState, nowMs: number): Condition {
  const message =
    `its agent has not renewed the Lease ${agentLeaseName(metadata.name)} for ${AGENT_LEASE_MS / 1_000} s; what it ` +
    'programmed stays in the kernel, but follows no change. Check that the agent runs on the node.';
  return {
    type: 'Ready',
    status: 'Unknown',
    reason: AGENT_LOST,
    message,
    lastTransitionTime: timeText(nowMs),
    ...(status?.observedGeneration === undefined ? {} : { observedGeneration: status.observedGeneration }),
  };
}

/** The state as it is to read once it is said that its agent is lost. */
function sayLost(state: NodeProxyState, nowMs: number): NodeProxyState {
  const condition = lostCondition(state, nowMs);
  const others = (state.status?.conditions ?? []).filter(({ type }) => type !== 'Ready');
  return { ...state, status: { ...state.status, conditions: [...others, condition] } };
}

export interface LostAgents {
  /** What the plan is to rest on. */
  readonly states: readonly NodeProxyState[];
  readonly reports: readonly (StateAction & { readonly kind: 'ReportLost' })[];
}

/** Says once of each lost agent that has ever reported that it is lost; it takes that back itself when it is there again. */
export function reportLostAgents(
  states: readonly NodeProxyState[],
  lost: ReadonlySet<string>,
  nowMs: number,
): LostAgents {
  if (lost.size === 0) return { states, reports: [] };
  const reports: (StateAction & { readonly kind: 'ReportLost' })[] = [];
  const said = states.map((observed) => {
    const isNews = lost.has(observed.metadata.name) && readyCondition(observed) !== undefined && !isAgentLost(observed);
    if (!isNews) return observed;
    const state = sayLost(observed, nowMs);
    reports.push({ kind: 'ReportLost', node: observed.metadata.name, observed, status: state.status ?? {} });
    return state;
  });
  return { states: said, reports };
}

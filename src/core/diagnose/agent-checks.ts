import type { NodeProxyState } from '../api/node-proxy-state.ts';
import { AGENT_LOST } from '../node/agent-lease.ts';
import { conditionOf } from '../rollout/health.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { logsOf, STALE, stateFinding } from './state-finding.ts';

/** When the agent was last heard of, whatever it was asked. */
function renewal(name: string, { leases, nowMs }: Evidence): string[] {
  const lease = leases?.find(({ node }) => node === name);
  if (lease === undefined) return [];
  const seconds = Math.max(0, Math.round((nowMs - lease.renewedAtMs) / 1_000));
  return [`${name}: the Lease of its agent was renewed ${seconds} seconds ago`];
}

/** The agent is gone, or never came: whatever else the state says is old. */
export function agentGone(state: NodeProxyState, evidence: Evidence): Finding | undefined {
  const { leases, nowMs } = evidence;
  const { name } = state.metadata;
  const lease = leases?.find(({ node }) => node === name);
  const isLate = lease !== undefined && nowMs > lease.renewedAtMs + lease.durationMs;
  const ready = conditionOf(state, 'Ready');
  if (ready?.reason === AGENT_LOST || isLate) {
    return stateFinding(state, {
      code: 'AgentDead',
      likelihood: 90,
      summary: 'its agent has stopped',
      evidence: [
        ...renewal(name, evidence),
        ...(ready?.reason === AGENT_LOST ? [`${name}: Ready=Unknown/AgentLost: ${ready.message}`] : []),
      ],
      consequence: STALE,
      next: `kubectl get pods -A -o wide --field-selector spec.nodeName=${name}`,
    });
  }
  if (state.status !== undefined) return silentAgent(state, evidence);
  return stateFinding(state, {
    code: 'AgentNeverReported',
    likelihood: 88,
    summary: 'no agent has ever reported from it',
    evidence: [`${name}: its NodeProxyState has no status`],
    consequence: 'nothing is programmed on this node; if kube-proxy is gone too, no Service works there',
    next: `kubectl get pods -A -o wide --field-selector spec.nodeName=${name}`,
  });
}

/** It may still renew its Lease for a while: a process that hangs looks alive from far away. */
function silentAgent(state: NodeProxyState, evidence: Evidence): Finding | undefined {
  const { name } = state.metadata;
  if (evidence.silent?.includes(name) !== true) return undefined;
  return stateFinding(state, {
    code: 'AgentSilent',
    likelihood: 85,
    summary: 'its agent does not answer: it hangs, or cannot reach the API server',
    evidence: [`${name}: its agent was asked through its NodeProxyState and said nothing`, ...renewal(name, evidence)],
    consequence: STALE,
    next: logsOf(state),
  });
}

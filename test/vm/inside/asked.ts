import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import type { NodeProxyState } from '../../../src/core/api/node-proxy-state.ts';
import { proxyProfileSpec, type ProxyProfile } from '../../../src/core/api/proxy-profile.ts';
import { diagnose } from '../../../src/core/diagnose/diagnose.ts';
import type { EvidenceService } from '../../../src/core/diagnose/evidence.ts';
import type { Finding } from '../../../src/core/diagnose/finding.ts';
import { nodeReport } from '../../../src/core/diagnose/node-report.ts';
import type { EndpointSlice } from '../../../src/core/kubernetes.ts';
import { liveTrace, type LiveTrace, type LiveTraceRequest } from '../../../src/core/node/live-trace.ts';
import type { NodeQuestion } from '../../../src/core/node/node-question.ts';
import type { AgentNode } from './agent-node.ts';

/** A profile that is done. */
const PROFILE: ProxyProfile = {
  apiVersion: 'switchyard.dev/v1alpha1',
  kind: 'ProxyProfile',
  metadata: { name: 'p', generation: 1 },
  spec: proxyProfileSpec.parse({ mode: 'ipvs' }),
  status: { observedGeneration: 1 },
};

/** What the cluster holds beside what the agent says. */
export interface Cluster {
  readonly services: readonly EvidenceService[];
  readonly endpointSlices: readonly EndpointSlice[];
}

/** As the program that people run does: asks the agent through its NodeProxyState. */
async function ask(agent: AgentNode, question: Omit<NodeQuestion, 'id' | 'offset'>): Promise<unknown> {
  const id = String(performance.now());
  agent.api.ask({ id, offset: 0, ...question });
  await agent.until('it answers', () => agent.api.answer?.id === id);
  const { data = '', problem } = agent.api.answer ?? {};
  agent.api.ask(undefined);
  assert.equal(problem, undefined);
  return JSON.parse(gunzipSync(Buffer.from(data, 'base64')).toString('utf8'));
}

/**
 * What `diagnose` finds with this node's agent asked, the likeliest first. That its syncs are slow is true of an emulated
 * machine whose host is busy, and no fault that a test made.
 */
export async function findingsOf(agent: AgentNode, { services, endpointSlices }: Cluster): Promise<readonly Finding[]> {
  const report = nodeReport.parse(await ask(agent, { subject: 'report' }));
  const findings = diagnose({
    nowMs: Date.now(),
    services,
    endpointSlices,
    serviceCIDRs: ['10.96.0.0/16', 'fd00:96::/112'],
    pods: undefined,
    nodes: undefined,
    leases: undefined,
    profiles: [PROFILE],
    states: [{ ...(agent.api.state as unknown as NodeProxyState), ...(agent.status && { status: agent.status }) }],
    reports: new Map([['n1', report]]),
  });
  return findings.filter(({ code }) => code !== 'SlowSync');
}

export async function traceOf(agent: AgentNode, trace: LiveTraceRequest): Promise<LiveTrace> {
  return liveTrace.parse(await ask(agent, { subject: 'trace', trace }));
}

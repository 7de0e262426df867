import type { Condition } from '../api/meta.ts';
import type { NodeProxyState } from '../api/node-proxy-state.ts';
import { conditionOf } from '../rollout/health.ts';
import type { Finding } from './finding.ts';
import type { NodeReport } from './node-report.ts';
import { stateFinding } from './state-finding.ts';

/** What the agent saw when it was asked; else what it said last. */
function otherProxy(state: NodeProxyState, report: NodeReport | undefined): Finding[] {
  const other = report?.otherProxy === undefined ? state.status?.otherProxy : report.otherProxy;
  if (!other) return [];
  const { name } = state.metadata;
  return [
    stateFinding(state, {
      code: other.running ? 'TwoProxies' : 'LeftoversOfOtherProxy',
      likelihood: other.running ? 84 : 58,
      summary: other.running ? `${other.kind} runs there too` : `rules of ${other.kind} are left there`,
      evidence: [...(other.running ? [`${other.kind} runs`] : []), ...other.traces]
        .slice(0, 5)
        .map((trace) => `${name}: ${trace}`),
      consequence: other.running
        ? 'two proxies translate the same connections; which one decides depends on the hook, and both must agree for traffic to be right'
        : 'connections may be sent to endpoints that are long gone',
      next: other.running
        ? `kubectl get pods -A -o wide --field-selector spec.nodeName=${name}; stop one of them there`
        : `kube-proxy --cleanup on ${name}`,
    }),
  ];
}

const DRIFT: Readonly<Partial<Record<string, readonly [string, number]>>> = {
  // They are back already: history, unless nothing else explains what somebody came for.
  RulesTampered: ['somebody else changed the rules there a short while ago', 40],
  RulesContested: ['somebody else keeps changing the rules there', 83],
  SysctlOverridden: ['somebody else changes its kernel settings', 39],
  ModuleUnloaded: ['a kernel module that it needs was unloaded', 78],
};

const SWITCH_MS = 60_000;

/** What an agent takes out itself when its mode changes may reach it late and look like somebody else's doing. */
function isOwnSwitch({ status }: NodeProxyState, { reason, lastTransitionTime }: Condition): boolean {
  const sinceMs = Date.parse(status?.current?.since ?? '');
  return reason === 'RulesTampered' && Math.abs(Date.parse(lastTransitionTime) - sinceMs) < SWITCH_MS;
}

function drifted(state: NodeProxyState): Finding[] {
  const found = conditionOf(state, 'Drifted');
  if (found?.status !== 'True' || isOwnSwitch(state, found)) return [];
  const [summary, likelihood] = DRIFT[found.reason] ?? [`it drifts (${found.reason})`, 60];
  return [
    stateFinding(state, {
      code: found.reason,
      likelihood,
      summary,
      evidence: [`${state.metadata.name}: ${found.message}`],
      consequence: 'until they were repaired, Services may have been unreachable from this node only',
      next: `nft monitor on ${state.metadata.name} shows who`,
    }),
  ];
}

const PROBES: Readonly<Partial<Record<string, readonly [string, number, string]>>> = {
  ClusterDNS: ['the DNS of the cluster does not answer from it', 82, 'names of Services are not resolved there'],
  APIServerClusterIP: [
    'the API server cannot be reached by its ClusterIP from it',
    82,
    'pods there cannot reach the API server',
  ],
  APIServerDirect: ['the API server cannot be reached from it', 80, 'its agent does not hear of changes'],
  NoLeftovers: [
    'rules of another mode are left there',
    62,
    'connections may be sent by rules that nobody follows any more',
  ],
};

function probes(state: NodeProxyState): Finding[] {
  return (state.status?.probes ?? [])
    .filter(({ result }) => result === 'Fail')
    .map(({ name, message = '' }) => {
      const [summary, likelihood, consequence] = PROBES[name] ?? [`its probe ${name} fails`, 60, 'see the probe'];
      return stateFinding(state, {
        code: name === 'NoLeftovers' ? 'Leftovers' : `ProbeFailed${name}`,
        likelihood,
        summary,
        evidence: [`${state.metadata.name}: ${name}: ${message}`],
        consequence,
        next: `kubectl switchyard status node/${state.metadata.name}`,
      });
    });
}

/** What else changes the node's rules: another proxy, somebody, or what an earlier mode left. */
export function checkInterference(state: NodeProxyState, report: NodeReport | undefined): Finding[] {
  return [...otherProxy(state, report), ...drifted(state), ...probes(state)];
}

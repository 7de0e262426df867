import type { Condition } from '../api/meta.ts';
import type { NodeProxyState } from '../api/node-proxy-state.ts';
import { AGENT_LOST } from '../agent-lease.ts';
import { conditionOf } from '../rollout-health.ts';
import type { Evidence } from './evidence.ts';
import type { Finding, Level } from './finding.ts';

type Draft = Omit<Finding, 'subjects' | 'level'> & { readonly level?: Level };

function finding({ metadata }: NodeProxyState, draft: Draft): Finding {
  return { level: 'DataPlane', subjects: [`node/${metadata.name}`], ...draft };
}

const STALE = 'this node goes on with the rules that it had: new Services and endpoints are not known there';

function logsOf({ metadata }: NodeProxyState): string {
  return `kubectl logs -A -l app.kubernetes.io/component=agent --field-selector spec.nodeName=${metadata.name}`;
}

/** The agent is gone, or never came: whatever else the state says is old. */
function agentGone(state: NodeProxyState, evidence: Evidence): Finding | undefined {
  const { leases, nowMs } = evidence;
  const { name } = state.metadata;
  const lease = leases?.find(({ node }) => node === name);
  const isLate = lease !== undefined && nowMs > lease.renewedAtMs + lease.durationMs;
  const ready = conditionOf(state, 'Ready');
  if (ready?.reason === AGENT_LOST || isLate) {
    const seconds = lease === undefined ? undefined : Math.round((nowMs - lease.renewedAtMs) / 1_000);
    return finding(state, {
      code: 'AgentDead',
      likelihood: 90,
      summary: 'its agent has stopped',
      evidence: [
        ...(seconds === undefined ? [] : [`${name}: the Lease of its agent was renewed ${seconds} seconds ago`]),
        ...(ready?.reason === AGENT_LOST ? [`${name}: Ready=Unknown/AgentLost: ${ready.message}`] : []),
      ],
      consequence: STALE,
      next: `kubectl get pods -A -o wide --field-selector spec.nodeName=${name}`,
    });
  }
  if (state.status !== undefined) return silentAgent(state, evidence);
  return finding(state, {
    code: 'AgentNeverReported',
    likelihood: 88,
    summary: 'no agent has ever reported from it',
    evidence: [`${name}: its NodeProxyState has no status`],
    consequence: 'nothing is programmed on this node; if kube-proxy is gone too, no Service works there',
    next: `kubectl get pods -A -o wide --field-selector spec.nodeName=${name}`,
  });
}

/** It may still renew its Lease for a while: a process that hangs looks alive from far away. */
function silentAgent(state: NodeProxyState, { silent = [] }: Evidence): Finding | undefined {
  const { name } = state.metadata;
  if (!silent.includes(name)) return undefined;
  return finding(state, {
    code: 'AgentSilent',
    likelihood: 85,
    summary: 'its agent does not answer',
    evidence: [`${name}: its agent was asked through its NodeProxyState and said nothing`],
    consequence: STALE,
    next: logsOf(state),
  });
}

const PREFLIGHT_CODES: Readonly<Partial<Record<string, string>>> = {
  ModuleMissing: 'ModuleMissing',
  SysctlReadOnly: 'SysctlReadOnly',
  KernelTooOld: 'KernelTooOld',
  ToolMissing: 'ToolMissing',
  SysctlUnknown: 'SysctlUnknown',
};

function preflight(state: NodeProxyState): Finding | undefined {
  const found = conditionOf(state, 'PreflightPassed');
  if (found?.status !== 'False') return undefined;
  const serves = state.status?.current?.mode;
  return finding(state, {
    code: PREFLIGHT_CODES[found.reason] ?? 'PreflightFailed',
    level: 'Environment',
    likelihood: 87,
    summary: `it cannot run ${state.spec.rendered.mode} mode (${found.reason})`,
    evidence: [`${state.metadata.name}: ${found.message}`],
    consequence: serves === undefined ? 'nothing is programmed on this node' : `it stays in ${serves} mode`,
    next: `kubectl switchyard status node/${state.metadata.name}`,
  });
}

const SYNC_SUMMARIES: Readonly<Partial<Record<string, string>>> = {
  SyncFailing: 'its kernel does not take the rules',
  StaleProgramming: 'it serves what an earlier run of its agent knew',
  NeverSynced: 'its kernel does not hold the rules yet',
};

function synced(state: NodeProxyState): Finding | undefined {
  const found = conditionOf(state, 'DataplaneSynced');
  if (found?.status !== 'False') return undefined;
  return finding(state, {
    code: found.reason === 'SyncFailing' ? 'SyncFailing' : 'AgentStale',
    likelihood: 86,
    summary: SYNC_SUMMARIES[found.reason] ?? 'its kernel is behind',
    evidence: [`${state.metadata.name}: DataplaneSynced=False/${found.reason}: ${found.message}`],
    consequence: STALE,
    next: found.reason === 'SyncFailing' ? logsOf(state) : `kubectl switchyard status node/${state.metadata.name}`,
  });
}

function rollbackFailed(state: NodeProxyState): Finding | undefined {
  const found = conditionOf(state, 'RolledBack');
  if (found?.reason !== 'RollbackFailed') return undefined;
  return finding(state, {
    code: 'RollbackFailed',
    likelihood: 89,
    summary: 'it could not go back after a change that failed',
    evidence: [`${state.metadata.name}: ${found.message}`],
    consequence: 'what serves there is not certain',
    next: `kubectl switchyard status node/${state.metadata.name}`,
  });
}

function failed(state: NodeProxyState): Finding | undefined {
  const { status = {}, spec, metadata } = state;
  const { lastFailure: failure, current } = status;
  if (failure === undefined || current?.revision === spec.revision) return undefined;
  const serves = current === undefined ? 'nothing' : `${current.mode} mode`;
  return finding(state, {
    code: 'ChangeFailed',
    likelihood: 70,
    summary: `its change to ${spec.rendered.mode} mode failed (${failure.code})`,
    evidence: [`${metadata.name}: in phase ${failure.phase}: ${failure.message}`],
    consequence: failure.rolledBack
      ? `it went back and serves in ${serves}`
      : `it serves in ${serves}, and that is not certain`,
    next: `kubectl switchyard status node/${metadata.name}`,
  });
}

function behind(state: NodeProxyState): Finding | undefined {
  const { spec, status, metadata } = state;
  const current = status?.current;
  if (spec.attempt !== undefined || current === undefined || current.revision === spec.revision) return undefined;
  if (spec.action === 'Release') return undefined;
  return finding(state, {
    code: 'ModeNotAsWanted',
    likelihood: 60,
    summary: `it runs ${current.mode} mode, not what its profile asks for (${spec.rendered.mode})`,
    evidence: [
      `${metadata.name}: revision ${current.revision} serves, ${spec.revision} is wanted, and no change is under way`,
    ],
    consequence: 'nodes of one profile behave differently',
    next: `kubectl switchyard status node/${metadata.name}`,
  });
}

function otherProxy(state: NodeProxyState): Finding[] {
  const other = state.status?.otherProxy;
  if (other === undefined) return [];
  const { name } = state.metadata;
  return [
    finding(state, {
      code: other.running ? 'TwoProxies' : 'LeftoversOfOtherProxy',
      likelihood: other.running ? 84 : 58,
      summary: other.running ? `${other.kind} runs there too` : `rules of ${other.kind} are left there`,
      evidence: other.traces.slice(0, 4).map((trace) => `${name}: ${trace}`),
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
  RulesTampered: ['somebody else changed the rules there a short while ago', 50],
  RulesContested: ['somebody else keeps changing the rules there', 83],
  SysctlOverridden: ['somebody else changes its kernel settings', 49],
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
    finding(state, {
      code: found.reason,
      likelihood,
      summary,
      evidence: [`${state.metadata.name}: ${found.message}`],
      consequence: 'until they were repaired, Services may have been unreachable from this node only',
      next: `nft monitor on ${state.metadata.name} shows who`,
    }),
  ];
}

function conntrack(state: NodeProxyState): Finding[] {
  const found = conditionOf(state, 'ConntrackHealthy');
  if (found?.status !== 'False') return [];
  const max = state.status?.conntrack?.max;
  return [
    finding(state, {
      code: 'ConntrackFull',
      level: 'Environment',
      likelihood: found.reason === 'ConnectionsDropped' ? 88 : 72,
      summary:
        found.reason === 'ConnectionsDropped'
          ? 'its conntrack table is full and drops connections'
          : 'its conntrack table is nearly full',
      evidence: [
        `${state.metadata.name}: ${found.message}`,
        ...(max === undefined ? [] : [`${state.metadata.name}: room for ${max} connections`]),
      ],
      consequence: 'new connections time out under load, at random',
      next: 'kubectl edit proxyprofile: raise spec.conntrack.min or maxPerCore',
    }),
  ];
}

function sysctls(state: NodeProxyState): Finding[] {
  const wrong = (state.status?.sysctls ?? []).filter(({ problem }) => problem !== undefined);
  if (wrong.length === 0) return [];
  const isReadOnly = wrong.some(({ problem = '' }) => /read-only|EROFS|EACCES|EPERM|not writable/i.test(problem));
  return [
    finding(state, {
      code: isReadOnly ? 'SysctlReadOnly' : 'SysctlNotAsWanted',
      level: 'Environment',
      likelihood: isReadOnly ? 77 : 66,
      summary: isReadOnly ? 'its kernel settings cannot be written' : 'kernel settings are not as wanted',
      evidence: wrong
        .slice(0, 4)
        .map(
          ({ name, desired, actual = 'absent', problem = '' }) =>
            `${state.metadata.name}: ${name} is ${actual}, wanted ${desired}: ${problem}`,
        ),
      consequence: 'what needs them does not work there, or not as well',
      next: isReadOnly
        ? 'give the agent a writable /proc/sys (see --proc-sys-dir)'
        : `sysctl ${wrong[0]?.name ?? ''} on ${state.metadata.name}`,
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
      return finding(state, {
        code: name === 'NoLeftovers' ? 'Leftovers' : `ProbeFailed${name}`,
        likelihood,
        summary,
        evidence: [`${state.metadata.name}: ${name}: ${message}`],
        consequence,
        next: `kubectl switchyard status node/${state.metadata.name}`,
      });
    });
}

function kept(state: NodeProxyState): Finding[] {
  const found = conditionOf(state, 'StateKept');
  if (found?.status !== 'False') return [];
  return [
    finding(state, {
      code: 'StateNotKept',
      level: 'Environment',
      likelihood: 35,
      summary: 'its agent cannot write its state to disk',
      evidence: [`${state.metadata.name}: ${found.message}`],
      consequence: 'after a reboot it does not know what it ran until the API server answers',
      next: `df /var/lib/switchyard on ${state.metadata.name}`,
    }),
  ];
}

/** One node, from what its agent and the controller say of it: the root cause first, and what is wrong beside it. */
export function checkNode(state: NodeProxyState, evidence: Evidence): Finding[] {
  const gone = agentGone(state, evidence);
  if (gone !== undefined) return [gone];
  const root = preflight(state) ?? rollbackFailed(state) ?? synced(state) ?? failed(state) ?? behind(state);
  return [
    ...(root === undefined ? [] : [root]),
    ...otherProxy(state),
    ...drifted(state),
    ...conntrack(state),
    ...(root?.code === 'SysctlReadOnly' ? [] : sysctls(state)),
    ...probes(state),
    ...kept(state),
  ];
}

import type { NodeProxyState } from '../api/node-proxy-state.ts';
import { conditionOf } from '../rollout/health.ts';
import { agentGone } from './agent-checks.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { checkInterference } from './interference-checks.ts';
import { checkConntrackCondition, checkKeptState, checkSysctls } from './state-condition-checks.ts';
import { logsOf, STALE, stateFinding } from './state-finding.ts';

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
  return stateFinding(state, {
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
  return stateFinding(state, {
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
  return stateFinding(state, {
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
  return stateFinding(state, {
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
  return stateFinding(state, {
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

/** One node, from what its agent and the controller say of it: the root cause first, and what is wrong beside it. */
export function checkNode(state: NodeProxyState, evidence: Evidence): Finding[] {
  const gone = agentGone(state, evidence);
  if (gone !== undefined) return [gone];
  const root = preflight(state) ?? rollbackFailed(state) ?? synced(state) ?? failed(state) ?? behind(state);
  return [
    ...(root === undefined ? [] : [root]),
    ...checkInterference(state, evidence.reports.get(state.metadata.name)),
    ...checkConntrackCondition(state),
    ...(root?.code === 'SysctlReadOnly' ? [] : checkSysctls(state)),
    ...checkKeptState(state),
  ];
}

import type { NodeProxyState, NodeProxyStateStatus } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { ageText, paint, printable, renderTable, type Cell, type Tone } from './output.ts';
import { rolloutEnd } from './rollout-end.ts';
import { modeText, nodeStep, stepText } from './status-view.ts';

type Line = readonly [string, string | undefined];

/** `Name:  value` lines, aligned; those without a value are left out. */
export function fieldLines(lines: readonly Line[]): string[] {
  const given = lines.filter((line): line is readonly [string, string] => line[1] !== undefined && line[1] !== '');
  const width = Math.max(0, ...given.map(([name]) => name.length)) + 1;
  return given.map(([name, value]) => `${`${name}:`.padEnd(width)}  ${printable(value)}`);
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', paint(title, 'bold'), ...lines.map((line) => `  ${line}`)];
}

const BAD_WHEN_TRUE = new Set(['Degraded', 'RolledBack', 'Drifted']);
const NEUTRAL = new Set(['Progressing', 'Paused']);

function conditionTone({ type, status }: { readonly type: string; readonly status: string }): Tone {
  if (NEUTRAL.has(type)) return status === 'True' ? 'busy' : 'plain';
  if (status === 'Unknown') return 'busy';
  return (status === 'True') === BAD_WHEN_TRUE.has(type) ? 'bad' : 'good';
}

function conditionLines(conditions: NodeProxyStateStatus['conditions'], nowMs: number): string[] {
  if (conditions === undefined || conditions.length === 0) return [];
  const rows = conditions.map((condition): Cell[] => [
    condition.type,
    { text: condition.status, tone: conditionTone(condition) },
    condition.reason,
    ageText(Date.parse(condition.lastTransitionTime), nowMs),
    condition.message,
  ]);
  return renderTable(
    [{ head: 'TYPE' }, { head: 'STATUS' }, { head: 'REASON' }, { head: 'SINCE' }, { head: 'MESSAGE' }],
    rows,
  );
}

type ProfileStatus = NonNullable<ProxyProfile['status']>;

function rejectedText({ revision }: ProfileStatus): string | undefined {
  const rejected = revision?.rejected?.[0];
  return rejected && `${rejected.revision} (${rejected.cause}: ${rejected.message})`;
}

function countsText({ nodes }: ProfileStatus): string | undefined {
  return (
    nodes &&
    `${nodes.matched} matched, ${nodes.updated} updated, ${nodes.ready} ready, ${nodes.inProgress} changing, ` +
      `${nodes.waiting} waiting (${nodes.blocked} blocked), ${nodes.failed} failed, ${nodes.skipped} skipped`
  );
}

function profileFields(profile: ProxyProfile): Line[] {
  const { metadata, spec, status = {} } = profile;
  const { reason, message } = rolloutEnd(profile);
  const { revision, rollout } = status;
  return [
    ['Profile', metadata.name],
    ['Mode', spec.mode],
    ['State', message === '' ? reason : `${reason}: ${message}`],
    ['Revision', revision?.target],
    ['Last good', revision?.lastGood],
    ['Rejected', rejectedText(status)],
    ['Step', stepText(profile)],
    ['Soaks until', rollout?.soakUntil],
    ['Deadline', rollout?.deadlineAt],
    ['Nodes', countsText(status)],
  ];
}

/** Everything that a person asks of one profile. */
export function profileLines(profile: ProxyProfile, nowMs: number): string[] {
  const { conditions, gates = [], problems = [], plan = [] } = profile.status ?? {};
  return [
    ...fieldLines(profileFields(profile)),
    ...section('Conditions', conditionLines(conditions, nowMs)),
    ...section(
      'Gates',
      gates.map(({ name, result, message }) => `${name}: ${result}. ${printable(message)}`),
    ),
    ...section(
      'Problems',
      problems.map(({ node, reason, message }) => `${node}: ${reason}: ${printable(message)}`),
    ),
    ...section('Next', planLines(plan)),
  ];
}

function planLines(plan: NonNullable<NonNullable<ProxyProfile['status']>['plan']>): string[] {
  if (plan.length === 0) return [];
  return renderTable(
    [{ head: 'NODE' }, { head: 'FROM' }, { head: 'TO' }, { head: 'REVISION' }, { head: 'BATCH' }],
    plan.map(({ node, from = '-', to, revision, batch }) => [
      node,
      from,
      to,
      revision,
      batch === undefined ? '-' : batch === 0 ? 'canary' : String(batch),
    ]),
  );
}

function sysctlLines(status: NodeProxyStateStatus): string[] {
  const odd = (status.sysctls ?? []).filter(({ problem, drifts }) => problem !== undefined || drifts > 0);
  return odd.map(
    ({ name, desired, actual = 'absent', problem, drifts }) =>
      `${name} is ${actual}, wanted ${desired}${problem === undefined ? '' : `: ${printable(problem)}`}${drifts > 0 ? ` (changed ${drifts} times by somebody else)` : ''}`,
  );
}

function probeLines(status: NodeProxyStateStatus): string[] {
  return (status.probes ?? []).map(
    ({ name, result, message = '' }) => `${name}: ${result}${message === '' ? '' : `: ${printable(message)}`}`,
  );
}

function otherProxyText({ otherProxy: other }: NodeProxyStateStatus): string | undefined {
  return other && `${other.kind}, ${other.running ? 'running' : 'left behind'}: ${other.traces.join('; ')}`;
}

function failureText({ lastFailure: failure }: NodeProxyStateStatus): string | undefined {
  if (failure === undefined) return undefined;
  const { code, phase, at, message, rolledBack } = failure;
  return `${code} in ${phase} at ${at}: ${message}${rolledBack ? ' (went back)' : ''}`;
}

function nodeFields(state: NodeProxyState, nowMs: number): Line[] {
  const { metadata, spec, status = {} } = state;
  const { current, conntrack, dataplane } = status;
  return [
    ['Node', metadata.name],
    ['Profile', spec.profile.name],
    ['Mode', modeText(state)],
    ['Revision', current && `${current.revision}, since ${ageText(Date.parse(current.since), nowMs)}`],
    ['Wanted', current?.revision === spec.revision ? undefined : spec.revision],
    ['Step', nodeStep(state)],
    ['Kernel holds', dataplane && `${dataplane.services} Service ports with ${dataplane.endpoints} endpoints`],
    ['Conntrack', conntrack && `${conntrack.max} connections, ${conntrack.buckets} buckets`],
    ['Linux', status.preflight?.kernel],
    ['Can run', status.preflight?.modes.join(', ')],
    ['Agent', status.agent?.version],
    ['Other proxy', otherProxyText(status)],
    ['Last failure', failureText(status)],
  ];
}

/** Everything that a person asks of one node. */
export function nodeLines(state: NodeProxyState, nowMs: number): string[] {
  const { status = {} } = state;
  return [
    ...fieldLines(nodeFields(state, nowMs)),
    ...section('Conditions', conditionLines(status.conditions, nowMs)),
    ...section('Probes', probeLines(status)),
    ...section('Settings that are not as wanted', sysctlLines(status)),
    ...section('Missing for other modes', (status.preflight?.missing ?? []).map(printable)),
  ];
}

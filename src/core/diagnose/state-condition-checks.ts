import type { NodeProxyState } from '../api/node-proxy-state.ts';
import { conditionOf } from '../rollout/health.ts';
import type { Finding } from './finding.ts';
import { stateFinding } from './state-finding.ts';

export function checkConntrackCondition(state: NodeProxyState): Finding[] {
  const found = conditionOf(state, 'ConntrackHealthy');
  if (found?.status !== 'False') return [];
  const max = state.status?.conntrack?.max;
  return [
    stateFinding(state, {
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

export function checkSysctls(state: NodeProxyState): Finding[] {
  const wrong = (state.status?.sysctls ?? []).filter(({ problem }) => problem !== undefined);
  if (wrong.length === 0) return [];
  const isReadOnly = wrong.some(({ problem = '' }) => /read-only|EROFS|EACCES|EPERM|not writable/i.test(problem));
  return [
    stateFinding(state, {
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

export function checkKeptState(state: NodeProxyState): Finding[] {
  const found = conditionOf(state, 'StateKept');
  if (found?.status !== 'False') return [];
  return [
    stateFinding(state, {
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

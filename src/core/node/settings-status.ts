import type { NodeProxyStateStatus } from '../api/node-proxy-state.ts';
import { conntrackVerdict, type ConntrackHealth } from './conntrack-health.ts';
import { conntrackMemoryBytes } from './conntrack-size.ts';
import type { Lack, OtherProxy } from './preflight.ts';
import type { HeldSysctl, SysctlState } from './sysctl.ts';
import { verdict, type Verdict } from '../verdict.ts';
import { timeText } from '../time.ts';

/** What a node says of everything that is not rules. Times are milliseconds since 1970. */
export interface SettingsFacts {
  readonly sysctls: readonly SysctlState[];
  readonly held: readonly HeldSysctl[];
  /** The newest thing that somebody else changed, while it is news. */
  readonly drift: { readonly reason: 'SysctlOverridden' | 'ModuleUnloaded'; readonly message: string } | null;
  /** What does not work but stops nothing. */
  readonly problems: readonly string[];
  readonly otherProxy: OtherProxy | null;
  readonly conntrack: {
    readonly max: number;
    readonly buckets: number;
    readonly health: ConntrackHealth;
  } | null;
}

export const NO_SETTINGS: SettingsFacts = {
  sysctls: [],
  held: [],
  drift: null,
  problems: [],
  otherProxy: null,
  conntrack: null,
};

const MAX_SYSCTLS = 96;

type SettingsStatus = Pick<NodeProxyStateStatus, 'sysctls' | 'conntrack' | 'otherProxy'>;

export function settingsStatus({ sysctls, held, conntrack, otherProxy }: SettingsFacts): SettingsStatus {
  const listed = [...sysctls.map(sysctlStatus), ...held.map(heldStatus)];
  return {
    ...(listed.length === 0 ? {} : { sysctls: listed.slice(0, MAX_SYSCTLS) }),
    ...(conntrack === null
      ? {}
      : {
          conntrack: {
            max: conntrack.max,
            buckets: conntrack.buckets,
            memoryBytes: conntrackMemoryBytes(conntrack.max, conntrack.buckets),
          },
        }),
    ...(otherProxy === null ? {} : { otherProxy: otherProxyStatus(otherProxy) }),
  };
}

const MAX_TRACES = 16;

function otherProxyStatus({ kind, isRunning, mode, traces }: OtherProxy): NonNullable<SettingsStatus['otherProxy']> {
  const listed = traces.slice(0, MAX_TRACES).map((trace) => trace.slice(0, 256));
  return { kind, running: isRunning, ...(mode === undefined ? {} : { mode }), traces: listed };
}

function sysctlStatus(state: SysctlState): NonNullable<SettingsStatus['sysctls']>[number] {
  return {
    name: state.name,
    desired: state.value,
    compare: state.compare,
    ...(state.actual === null ? {} : { actual: state.actual }),
    ...(state.original === null ? {} : { original: state.original }),
    ...(state.problem === null ? {} : { problem: state.problem.slice(0, 1024) }),
    drifts: state.drifts,
    ...(state.lastDriftMs === null ? {} : { lastDrift: timeText(state.lastDriftMs) }),
  };
}

function heldStatus({ name, actual, original }: HeldSysctl): NonNullable<SettingsStatus['sysctls']>[number] {
  return { name, ...(actual === null ? {} : { actual }), original, drifts: 0 };
}

/** Another proxy beside ours is said, but stops nothing: taking over from it begins that way. */
export function preflightVerdict(mode: string, lacks: readonly Lack[], { otherProxy }: SettingsFacts): Verdict {
  const [first] = lacks;
  if (first !== undefined) return verdict('False', first.reason, lacks.map(({ message }) => message).join('; '));
  if (otherProxy?.isRunning === true) {
    return verdict(
      'True',
      'UnmanagedProxyRunning',
      `this node can run ${mode} mode; ${otherProxy.kind} runs on it too`,
    );
  }
  return verdict('True', 'Supported', `this node can run ${mode} mode`);
}

/** Rules that two owners fight over come first. */
export function driftVerdict(rules: Verdict, { drift }: SettingsFacts): Verdict {
  if (drift === null || rules.reason === 'RulesContested') return rules;
  return verdict('True', drift.reason, drift.message);
}

export function stateVerdict({ problems }: SettingsFacts): Verdict {
  return problems.length === 0
    ? verdict('True', 'Kept', 'what this node must remember is on its disk')
    : verdict('False', 'NotKept', problems.join('; '));
}

export { conntrackVerdict };

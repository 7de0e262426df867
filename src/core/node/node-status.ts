import type { Condition } from '../api/meta.ts';
import type { BuiltinGate } from '../api/rollout-spec.ts';
import type { NodeProxyStateConditionType, NodeProxyStateStatus } from '../api/node-proxy-state.ts';
import { isOver, type Attempt, type Serving } from './mode-switch.ts';
import type { ImplementedMode, Mode } from '../mode.ts';
import { leftoverOutcome, type DrainView, type LeftoverSight } from './leftovers.ts';
import type { Lack } from './preflight.ts';
import type { ProbeOutcome } from './probe-result.ts';
import {
  conntrackVerdict,
  driftVerdict,
  preflightVerdict,
  settingsStatus,
  stateVerdict,
  type SettingsFacts,
} from './settings-status.ts';
import { dataplaneStatus, syncedVerdict, type SyncFacts } from './sync-status.ts';
import { verdict, type Verdict } from '../verdict.ts';
import { timeText } from '../time.ts';

/** What this node can run, found without touching anything. */
export interface Preflight {
  readonly kernel: string;
  readonly modes: readonly Mode[];
  /** What is missing for the others, each with what to do about it. */
  readonly missing: readonly string[];
  /** What the wanted configuration lacks; empty when this node can run it. */
  readonly lacks: readonly Lack[];
  /** What may go wrong though the wanted configuration can run. */
  readonly warnings: readonly string[];
  /** The programs found, with the flavour of iptables. */
  readonly tools: readonly string[];
}

/** What an agent knows when it writes its status. Times are milliseconds since 1970. */
export interface NodeFacts extends SyncFacts {
  readonly generation: number;
  readonly wanted: { readonly mode: ImplementedMode; readonly revision: string };
  readonly agent: { readonly version: string; readonly bootID: string };
  readonly preflight: Preflight;
  readonly serving: Serving | null;
  readonly servingSinceMs: number;
  readonly attempt: Attempt | null;
  /** What the probes said last. */
  readonly probes: readonly ProbeOutcome[];
  /** What was seen last of the modes that do not serve; null before the first look. */
  readonly leftovers: LeftoverSight | null;
  /** Whether others changed our rules lately, and so often that repairs wait. */
  readonly drift: 'none' | 'recent' | 'contested';
  readonly settings: SettingsFacts;
  /** What is left of IPVS mode for the connections through it; null when nothing is. */
  readonly draining: DrainView | null;
  /** Null unless everything of ours is to be taken out of this node. */
  readonly release: { readonly isDone: boolean; readonly problem: string | null } | null;
  /** What of kube-proxy is waited for; null when nothing is. */
  readonly handoverNote: string | null;
}

/**
 * The status of a node from what its agent knows. `previous` gives the times at which conditions last changed; the same
 * facts twice give the same status but for the times of what changed.
 */
export function nodeStatus(facts: NodeFacts, previous: NodeProxyStateStatus | undefined): NodeProxyStateStatus {
  const { attempt, serving } = facts;
  return {
    observedGeneration: facts.generation,
    agent: facts.agent,
    preflight: preflightStatus(facts.preflight),
    ...settingsStatus(facts.settings),
    ...(serving === null ? {} : currentAndLastGood(serving, facts.servingSinceMs)),
    ...(attempt === null
      ? {}
      : { attempt: { id: attempt.id, phase: attempt.phase, startedAt: timeText(attempt.startedAtMs) } }),
    ...lastFailure(facts, previous),
    ...dataplaneStatus(facts, previous),
    ...drainingStatus(facts),
    ...probesOf(facts, previous),
    conditions: conditionsOf(facts, previous),
  };
}

const NO_LEFTOVERS = 'NoLeftovers' satisfies BuiltinGate;
const MAX_PROBE_MESSAGE = 1_000;

function drainingStatus({ draining }: NodeFacts): Pick<NodeProxyStateStatus, 'draining'> {
  if (draining === null) return {};
  const { mode, sinceMs, deadlineAtMs } = draining;
  return { draining: { mode, since: timeText(sinceMs), deadline: timeText(deadlineAtMs) } };
}

function currentAndLastGood({ revision, config: { mode } }: Serving, sinceMs: number) {
  return { current: { revision, mode, since: timeText(sinceMs) }, lastGood: { revision, mode } };
}

type ToldProbe = NonNullable<NodeProxyStateStatus['probes']>[number];

/** An agent that starts anew has tried nothing yet, and so disproved nothing of what was said before. */
function probesOf(
  { probes, leftovers, draining, attempt, serving, nowMs }: NodeFacts,
  previous: NodeProxyStateStatus | undefined,
): Pick<NodeProxyStateStatus, 'probes'> {
  if (serving === null && probes.length === 0) return {};
  const told = previous?.probes ?? [];
  const tell = ({ name, result, message }: Omit<ToldProbe, 'at'> & { readonly message: string }): ToldProbe => {
    const baseline = attempt?.baseline.find((before) => before.name === name)?.result;
    const before = told.find((known) => known.name === name);
    return {
      name,
      ...(baseline === undefined ? {} : { baseline }),
      result,
      ...(message === '' ? {} : { message: message.slice(0, MAX_PROBE_MESSAGE) }),
      at: before?.result === result ? before.at : timeText(nowMs),
    };
  };
  const tried = probes.length > 0 ? probes.map(tell) : told.filter(({ name }) => name !== NO_LEFTOVERS);
  const seen = leftovers === null ? [] : [tell(leftoverOutcome(leftovers, draining))];
  const all = [...tried, ...(leftovers === null ? told.filter(({ name }) => name === NO_LEFTOVERS) : seen)];
  return all.length === 0 ? {} : { probes: all };
}

function lastFailure(
  { attempt, nowMs }: NodeFacts,
  previous: NodeProxyStateStatus | undefined,
): Pick<NodeProxyStateStatus, 'lastFailure'> {
  if (attempt === null || attempt.failure === null || !isOver(attempt)) {
    return previous?.lastFailure === undefined ? {} : { lastFailure: previous.lastFailure };
  }
  const { phase, code, message } = attempt.failure;
  const failure = {
    revision: attempt.to.revision,
    attempt: attempt.id,
    phase,
    code,
    message,
    rolledBack: attempt.phase === 'RolledBack' && attempt.from !== null,
  };
  const before = previous?.lastFailure;
  const isSame =
    before !== undefined &&
    Object.entries(failure).every(([key, value]) => before[key as keyof typeof before] === value);
  return { lastFailure: { ...failure, at: isSame ? before.at : timeText(nowMs) } };
}

function conditionsOf(facts: NodeFacts, previous: NodeProxyStateStatus | undefined): Condition[] {
  const preflight = preflightVerdict(facts.wanted.mode, facts.preflight.lacks, facts.settings);
  const applied = appliedVerdict(facts);
  const synced = syncedVerdict(facts, previous);
  const rolledBack = rolledBackVerdict(facts);
  const ready = readyVerdict(facts, [applied, preflight, synced], rolledBack);
  const verdicts: Record<NodeProxyStateConditionType, Verdict> = {
    PreflightPassed: preflight,
    Applied: applied,
    DataplaneSynced: synced,
    RolledBack: rolledBack,
    Drifted: driftVerdict(DRIFT_VERDICTS[facts.drift], facts.settings),
    ConntrackHealthy: conntrackVerdict(facts.settings.conntrack?.health ?? null),
    StateKept: stateVerdict(facts.settings),
    Ready: ready,
  };
  return Object.entries(verdicts).map(([type, now]) => {
    const before = previous?.conditions?.find((condition) => condition.type === type);
    const lastTransitionTime = before?.status === now.status ? before.lastTransitionTime : timeText(facts.nowMs);
    return { type, ...now, lastTransitionTime, observedGeneration: facts.generation };
  });
}

/** A node that went back and serves is Ready: it is not updated, but nothing on it waits for a cure. */
function readyVerdict({ wanted, serving }: NodeFacts, needed: readonly Verdict[], rolledBack: Verdict): Verdict {
  const failing = needed.find((each) => each.status !== 'True');
  if (failing === undefined) return verdict('True', 'Ready', `serves in ${wanted.mode} mode`);
  const synced = needed.at(-1);
  if (rolledBack.status !== 'True' || synced?.status !== 'True' || serving === null) return { ...failing };
  return verdict('True', 'ServesLastGood', `serves in ${serving.config.mode} mode; ${failing.message}`);
}

const DRIFT_VERDICTS: Record<NodeFacts['drift'], Verdict> = {
  none: verdict('False', 'NoDrift', 'nobody else changed our rules lately'),
  recent: verdict('True', 'RulesTampered', 'somebody else changed our rules; they were repaired'),
  contested: verdict(
    'True',
    'RulesContested',
    'somebody else keeps changing our rules, so repairs wait; find out who with: nft monitor',
  ),
};

function preflightStatus({ kernel, modes, missing, tools, warnings }: Preflight): NodeProxyStateStatus['preflight'] {
  return {
    kernel,
    modes: [...modes],
    missing: missing.slice(0, 32).map((text) => text.slice(0, 1024)),
    tools: [...tools],
    ...(warnings.length === 0 ? {} : { warnings: [...warnings] }),
  };
}

function appliedVerdict({ serving, wanted, attempt, release, handoverNote }: NodeFacts): Verdict {
  if (release !== null) return releaseVerdict(release, handoverNote);
  if (serving?.revision === wanted.revision)
    return verdict('True', 'RevisionApplied', `revision ${wanted.revision} serves`);
  const still = serving === null ? 'nothing serves yet' : `${serving.config.mode} mode goes on serving`;
  if (attempt === null || attempt.to.revision !== wanted.revision) {
    return verdict('False', 'Applying', `revision ${wanted.revision} is about to start; ${still}`);
  }
  if (attempt.phase === 'AwaitHandover' && handoverNote !== null) {
    return verdict('False', 'AwaitingHandover', handoverNote);
  }
  if (attempt.failure === null) return verdict('False', 'Applying', `in phase ${attempt.phase}; ${still}`);
  const { code, phase, message } = attempt.failure;
  const then = attempt.phase === 'AwaitReturn' && handoverNote !== null ? handoverNote : still;
  return verdict('False', code, `failed in phase ${phase}: ${message}; ${then}`);
}

function releaseVerdict(
  { isDone, problem }: NonNullable<NodeFacts['release']>,
  handoverNote: NodeFacts['handoverNote'],
): Verdict {
  if (!isDone && handoverNote !== null) return verdict('False', 'AwaitingKubeProxy', handoverNote);
  if (isDone) return verdict('False', 'Released', 'nothing of Switchyard is left on this node');
  if (problem === null) return verdict('False', 'Releasing', 'everything of Switchyard is being taken out');
  return verdict('False', 'ReleaseFailed', `not everything could be taken out; trying again: ${problem}`);
}

function rolledBackVerdict({ attempt }: NodeFacts): Verdict {
  if (attempt?.phase === 'Failed') {
    return verdict('False', 'RollbackFailed', attempt.failure?.message ?? 'the way back failed');
  }
  if (attempt === null || attempt.phase !== 'RolledBack' || attempt.from === null || attempt.failure === null) {
    return verdict('False', 'NotRolledBack', 'no change was taken back');
  }
  return verdict(
    'True',
    attempt.failure.code,
    `went back to ${attempt.from.config.mode} mode: ${attempt.failure.message}`,
  );
}

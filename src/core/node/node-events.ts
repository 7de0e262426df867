import type { Condition } from '../api/meta.ts';
import { INPUTS_STALE } from './unread-inputs.ts';
import type { AttemptPhase, NodeProxyStateSpec, NodeProxyStateStatus } from '../api/node-proxy-state.ts';

/** An event on a node, in the words of events.k8s.io. */
export interface NodeEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly note: string;
  /** What sets it apart from another event that reads the same. */
  readonly about?: string;
}

type Status = NodeProxyStateStatus;
type Wanted = Pick<NodeProxyStateSpec, 'revision'> & {
  readonly rendered: { readonly mode: string };
  readonly attempt?: { readonly id: string } | undefined;
};

interface ConditionEvent {
  readonly condition: string;
  readonly status: 'True' | 'False';
  /** Absent for every reason. */
  readonly reasons?: readonly string[];
  readonly action: string;
  /** In place of the condition's reason. */
  readonly reason?: string;
}

/** Each is told when its condition comes to this status, or stays in it for another reason. */
const CONDITION_EVENTS: readonly ConditionEvent[] = [
  { condition: 'PreflightPassed', status: 'False', action: 'Preflight' },
  {
    condition: 'DataplaneSynced',
    status: 'False',
    reasons: ['SyncFailing', 'StaleProgramming', INPUTS_STALE],
    action: 'Program',
  },
  { condition: 'Drifted', status: 'True', reasons: ['RulesTampered'], reason: 'DriftDetected', action: 'Watch' },
  { condition: 'Drifted', status: 'True', reasons: ['RulesContested'], action: 'Watch' },
  { condition: 'ConntrackHealthy', status: 'False', action: 'Watch' },
  { condition: 'StateKept', status: 'False', reason: 'StateNotKept', action: 'Save' },
  { condition: 'Applied', status: 'False', reasons: ['ReleaseFailed'], action: 'Release' },
];

/**
 * What happened to a node between two of its statuses, in order: one event per transition, and the same ones however often
 * it is asked. Without an earlier status everything that is there has just happened, but for an attempt that nobody asked for
 * there: a Node and its state that are made anew under an agent that serves.
 */
export function nodeEvents(before: Status | undefined, after: Status, wanted: Wanted): readonly NodeEvent[] {
  const isOld = before === undefined && after.attempt?.id !== wanted.attempt?.id;
  return [
    ...(isOld ? [] : startEvents(before, after, wanted)),
    ...conditionEvents(before, after),
    ...(isOld ? [] : endEvents(before, after)),
  ];
}

function startEvents(before: Status | undefined, { attempt }: Status, { revision, rendered }: Wanted): NodeEvent[] {
  if (attempt === undefined || attempt.id === before?.attempt?.id) return [];
  const serves = before?.current === undefined ? 'nothing served before' : `${before.current.mode} mode serves`;
  return [
    {
      type: 'Normal',
      reason: 'SwitchStarted',
      action: 'Switch',
      note: `attempt ${attempt.id} begins to bring the node to ${rendered.mode} mode, revision ${revision}; ${serves}`,
      about: attempt.startedAt,
    },
  ];
}

function endEvents(before: Status | undefined, after: Status): NodeEvent[] {
  return [...failureEvents(before, after), ...outcomeEvents(before, after)];
}

function failureEvents(before: Status | undefined, { lastFailure }: Status): NodeEvent[] {
  if (lastFailure === undefined || lastFailure.at === before?.lastFailure?.at) return [];
  const { phase, code, message, revision, at } = lastFailure;
  const note = `revision ${revision} failed in phase ${phase}, ${code}: ${message}`;
  return [{ type: 'Warning', reason: 'SwitchFailed', action: 'Switch', note, about: at }];
}

function outcomeEvents(before: Status | undefined, after: Status): NodeEvent[] {
  const { attempt } = after;
  if (attempt === undefined) return [];
  if (attempt.id === before?.attempt?.id && attempt.phase === before.attempt.phase) return [];
  const outcome = OUTCOMES[attempt.phase]?.(after);
  if (outcome === undefined) return [];
  // An attempt that fails again and again in the same way is told once; one of the same name after a release is another.
  const endedAt = attempt.phase === 'Committed' ? after.current?.since : after.lastFailure?.at;
  return [{ ...outcome, action: 'Switch', about: `${attempt.id} ${endedAt ?? ''}` }];
}

type Outcome = Pick<NodeEvent, 'type' | 'reason' | 'note'>;

const OUTCOMES: Readonly<Partial<Record<AttemptPhase, (after: Status) => Outcome | undefined>>> = {
  Committed: ({ current }) =>
    current && {
      type: 'Normal',
      reason: 'SwitchCommitted',
      note: `the node serves in ${current.mode} mode, revision ${current.revision}`,
    },
  RolledBack(after) {
    const condition = find(after, 'RolledBack');
    if (condition?.status !== 'True') return undefined;
    return { type: 'Warning', reason: 'NodeRolledBack', note: condition.message };
  },
  Failed: (after) => ({
    type: 'Warning',
    reason: 'RollbackFailed',
    note: `the way back failed, and both modes are left as they are: ${find(after, 'RolledBack')?.message ?? 'unknown'}`,
  }),
};

function conditionEvents(before: Status | undefined, after: Status): NodeEvent[] {
  return CONDITION_EVENTS.flatMap((event) => {
    const now = find(after, event.condition);
    if (now === undefined || !isMeant(event, now)) return [];
    const was = find(before, event.condition);
    if (was?.status === now.status && was.reason === now.reason) return [];
    const about = `${now.lastTransitionTime} ${now.observedGeneration ?? 0}`;
    return [
      { type: 'Warning', reason: event.reason ?? now.reason, action: event.action, note: now.message, about } as const,
    ];
  });
}

function isMeant({ status, reasons }: ConditionEvent, now: Condition): boolean {
  return now.status === status && reasons?.includes(now.reason) !== false;
}

function find(status: Status | undefined, condition: string): Condition | undefined {
  return status?.conditions?.find(({ type }) => type === condition);
}

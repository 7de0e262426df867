import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { ProxyProfile, ProxyProfileStatus } from '../api/proxy-profile.ts';
import type { Verdict } from '../verdict.ts';
import type { Ailment } from './ailment.ts';
import type { Findings } from './conditions.ts';
import { nameEvent } from './events.ts';
import { conditionOf } from './health.ts';
import { dateConditions } from './status.ts';
import type { RolloutEvent } from './transition.ts';
import { MAX_PROBLEMS, nodeCount } from './view.ts';

/** The nodes that a profile which is being deleted has to let go of. */
export interface Releasing {
  /** Without those that have let go already. */
  readonly left: readonly NodeProxyState[];
  /** Those of them that are asked to. */
  readonly asked: readonly NodeProxyState[];
  /** Those that have not answered in time. */
  readonly overdue: readonly NodeProxyState[];
}

const RELEASING = 'Releasing';

function namesOf(states: readonly NodeProxyState[]): string {
  const names = states.slice(0, 5).map(({ metadata }) => metadata.name);
  return `${names.join(', ')}${states.length > 5 ? ` and ${states.length - 5} more` : ''}`;
}

function findingsOf({ left, asked, overdue }: Releasing): Findings {
  const busy = asked.filter((state) => !overdue.includes(state));
  const message =
    `The profile is being deleted with onDelete: Release; ${nodeCount(left.length)} left: ` +
    `${busy.length === 0 ? 'none' : namesOf(busy)} in progress, ${left.length - asked.length} waiting.`;
  const late: Verdict = {
    status: 'True',
    reason: 'ReleaseOverdue',
    message: `${namesOf(overdue)} did not answer within spec.rollout.nodeDeadline and keep what they run until their agents are back.`,
  };
  return {
    Accepted: {
      status: 'True',
      reason: 'Valid',
      message: 'The profile is being deleted; its nodes are released first.',
    },
    Progressing: { status: 'True', reason: RELEASING, message },
    Available: { status: 'False', reason: RELEASING, message },
    Degraded: overdue.length > 0 ? late : { status: 'False', reason: 'AsExpected', message: 'No node is late.' },
    Paused: { status: 'False', reason: 'Running', message: 'Nothing waits for a person.' },
  };
}

/** Why nodes that are asked have not let go, in the words of their agents. */
function problemsOf({ asked, overdue }: Releasing): Ailment[] {
  return asked.flatMap((state): Ailment[] => {
    const node = state.metadata.name;
    const told = conditionOf(state, 'Applied');
    if (told?.reason === 'ReleaseFailed') return [{ node, reason: told.reason, message: told.message.slice(0, 4096) }];
    if (!overdue.includes(state)) return [];
    return [{ node, reason: 'NoAnswer', message: 'its agent did not release in time; check that it runs on the node' }];
  });
}

/** What is said of a profile while it is being deleted and its nodes are released. */
export function releasingStatus(
  profile: ProxyProfile,
  releasing: Releasing,
  nowMs: number,
): { readonly status: ProxyProfileStatus; readonly events: readonly RolloutEvent[] } {
  const { left, asked, overdue } = releasing;
  const { revision, conditions = [] } = profile.status ?? {};
  const problems = problemsOf(releasing).slice(0, MAX_PROBLEMS);
  const dated = dateConditions(profile, findingsOf(releasing), nowMs);
  const others = conditions.filter(({ type }) => dated.every((each) => each.type !== type));
  const status: ProxyProfileStatus = {
    observedGeneration: profile.metadata.generation ?? 0,
    ...(revision === undefined ? {} : { revision }),
    nodes: {
      matched: left.length,
      updated: 0,
      ready: left.filter((state) => conditionOf(state, 'Ready')?.status === 'True').length,
      inProgress: asked.length - overdue.length,
      failed: overdue.length,
      rolledBack: 0,
      waiting: left.length - asked.length,
      blocked: 0,
      skipped: 0,
      agentMissing: 0,
      conflicted: 0,
    },
    ...(problems.length === 0 ? {} : { problems }),
    conditions: [...dated, ...others],
  };
  const before = conditions.find(({ type }) => type === 'Progressing');
  const message = status.conditions?.find(({ type }) => type === 'Progressing')?.message ?? '';
  const isNew = before?.reason !== RELEASING;
  return { status, events: isNew ? [nameEvent(profile, { type: 'Normal', reason: 'ReleaseStarted', message })] : [] };
}

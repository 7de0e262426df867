import type { NodeProxyStateStatus } from '../api/node-proxy-state.ts';
import { timeText } from '../time.ts';
import { describeUnread, INPUTS_STALE, type InputTrouble } from './unread-inputs.ts';
import { verdict, type Verdict } from '../verdict.ts';

/** So long what an earlier run of the agent said of the rules is believed, while they stand and nobody has compared them. */
export const COMPARED_WITHIN_MS = 60_000;

/** How far the kernel holds what is known of the Services. Times are milliseconds since 1970. */
export interface SyncFacts {
  readonly nowMs: number;
  readonly lastSyncMs: number | null;
  readonly syncError: string | null;
  readonly services: number;
  readonly endpoints: number;
  /** The rules are those of an earlier life of this agent: the API server has not been heard since. */
  readonly isStale: boolean;
  /** Since when rules of an earlier run are known to stand in the kernel without having been compared; null where none do. */
  readonly recalledAtMs: number | null;
  /** What the rules are made of and cannot be read, for longer than a moment. */
  readonly unread: readonly InputTrouble[];
}

export function dataplaneStatus(
  { lastSyncMs, services, endpoints, recalledAtMs }: SyncFacts,
  previous: NodeProxyStateStatus | undefined,
): Pick<NodeProxyStateStatus, 'dataplane'> {
  if (lastSyncMs !== null) return { dataplane: { services, endpoints, lastSync: timeText(lastSyncMs) } };
  return recalledAtMs === null || previous?.dataplane === undefined ? {} : { dataplane: previous.dataplane };
}

/** Whether the kernel holds it. An agent that starts anew beside its own rules has disproved nothing of what was said before. */
export function syncedVerdict(facts: SyncFacts, previous: NodeProxyStateStatus | undefined): Verdict {
  const { lastSyncMs, syncError, isStale, unread } = facts;
  if (isStale && unread.length > 0) return staleVerdict('the kernel holds what an earlier run knew', unread);
  if (isStale) {
    return verdict(
      'False',
      'StaleProgramming',
      'the kernel holds what an earlier run knew; the API server was not heard',
    );
  }
  if (syncError !== null) return verdict('False', 'SyncFailing', `the kernel does not take the rules: ${syncError}`);
  if (lastSyncMs === null) return unsyncedVerdict(facts, previous);
  if (unread.length > 0) return staleVerdict('the kernel holds what was read last', unread);
  return verdict('True', 'InSync', 'the kernel holds all that is known');
}

/** The rules serve on, and nobody knows how right they still are. */
function staleVerdict(holds: string, unread: readonly InputTrouble[]): Verdict {
  const message = `${holds}; ${describeUnread(unread)}; until it can, the rules stay as they are and follow no change`;
  return verdict('False', INPUTS_STALE, message);
}

function unsyncedVerdict(
  { nowMs, recalledAtMs, unread }: SyncFacts,
  previous: NodeProxyStateStatus | undefined,
): Verdict {
  if (recalledAtMs === null) {
    const why = unread.length === 0 ? '' : `: ${describeUnread(unread)}`;
    return verdict('False', 'NeverSynced', `the kernel does not hold the rules yet${why}`);
  }
  if (unread.length > 0) return staleVerdict('the kernel holds what an earlier run of the agent wrote', unread);
  const before = previous?.conditions?.find(({ type }) => type === 'DataplaneSynced');
  if (before?.status !== 'True' || nowMs - recalledAtMs >= COMPARED_WITHIN_MS) {
    const message = 'the kernel holds what an earlier run wrote; the Services have not been read since';
    return verdict('False', 'NeverSynced', message);
  }
  return verdict(
    'True',
    'InSync',
    'the kernel holds what an earlier run of the agent wrote; it is about to be compared',
  );
}

import { timeText } from '../time.ts';

/** The reason of DataplaneSynced=False while the rules stand and follow nothing, because what they are made of cannot be read. */
export const INPUTS_STALE = 'InputsStale';

/** A collection that the rules are made of and that cannot be read. Times are monotonic milliseconds but for `sinceAtMs`. */
export interface InputTrouble {
  /** As people call it, such as EndpointSlices. */
  readonly what: string;
  readonly problem: string;
  /** The API server says that this agent may not. */
  readonly isRefused: boolean;
  /** Since 1970. */
  readonly sinceAtMs: number;
  readonly sinceMs: number;
  /** Since when the API server answers, and answers no; null where the last try had no answer. */
  readonly deniedSinceMs: number | null;
}

/** When the API server was heard, whatever was asked of it; monotonic milliseconds. */
export interface ServerHearing {
  readonly lastAnswerMs: number;
  /** The first answer after a long silence. */
  readonly heardSinceMs: number;
}

/** Longer than two tries to read are apart, also where a server that has just started refuses what it will soon allow. */
const DENIED_GRACE_MS = 20_000;
const SILENT_GRACE_MS = 60_000;
/** A healthy agent asks something every half minute: it renews its Lease. */
const UNHEARD_AFTER_MS = 45_000;

export const NEVER_HEARD: ServerHearing = { lastAnswerMs: -Infinity, heardSinceMs: -Infinity };

/** What is known of the server once it answered at `nowMs`. */
export function heardAt({ lastAnswerMs, heardSinceMs }: ServerHearing, nowMs: number): ServerHearing {
  const isBack = nowMs - lastAnswerMs > UNHEARD_AFTER_MS;
  return { lastAnswerMs: nowMs, heardSinceMs: isBack ? nowMs : heardSinceMs };
}

/**
 * Of these troubles those that last and that this node may speak of. While the API server answers nobody there is nobody to
 * tell, and once it is back each collection has its time to be read again: an outage makes no node look worse than others.
 * What has been `told` stays so until it ends.
 */
export function lastingTroubles<T extends InputTrouble>(
  troubles: readonly T[],
  { lastAnswerMs, heardSinceMs }: ServerHearing,
  told: ReadonlySet<string>,
  nowMs: number,
): T[] {
  const isHeard = nowMs - lastAnswerMs <= UNHEARD_AFTER_MS;
  return troubles.filter(({ what, sinceMs, deniedSinceMs }) => {
    if (told.has(what)) return true;
    if (!isHeard) return false;
    if (deniedSinceMs !== null) return nowMs - Math.max(deniedSinceMs, heardSinceMs) >= DENIED_GRACE_MS;
    return nowMs - Math.max(sinceMs, heardSinceMs) >= SILENT_GRACE_MS;
  });
}

/** For people: what cannot be read, since when, why, and what to do. */
export function describeUnread(unread: readonly InputTrouble[]): string {
  const each = unread.map(({ what, sinceAtMs, problem }) => `${what} since ${timeText(sinceAtMs)} (${problem})`);
  const next = unread.some(({ isRefused }) => isRefused)
    ? '; give its ServiceAccount the right to list and watch them (RBAC)'
    : '';
  return `the agent cannot read ${each.join(' and ')}${next}`;
}

import type { ProxyProfile, ProxyProfileConditionType, ProxyProfileStatus } from '../api/proxy-profile.ts';

/** What to tell about a transition of a profile. The same transition always has the same `name`. */
export interface RolloutEvent {
  readonly name: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** An event before it has a name; `about` tells it from others of its reason in the same transition. */
export type EventContent = Omit<RolloutEvent, 'name'> & { readonly about?: unknown };

/** The status that a profile has, and the one that it is to get. */
export interface Transition {
  readonly profile: ProxyProfile;
  readonly next: ProxyProfileStatus;
}

/** What tells that nodes are going to be changed; failures and the way back are not announced but told. */
const ANNOUNCEMENTS = [
  'RevisionAccepted',
  'RolloutSuperseded',
  'RolloutStarted',
  'RolloutResumed',
  'GiveBackStarted',
] as const;

export function conditionOf(status: ProxyProfileStatus | undefined, type: ProxyProfileConditionType) {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** Reasons of Progressing while nothing is left to do. */
export const AT_REST = ['Complete', 'Rejected', 'NotAccepted'];

/**
 * Whether no node may start before these events and the status that goes with them are written: otherwise a controller
 * that ends in between leaves nodes that have moved, and nothing from which the next one could tell that it owes the word.
 */
export function announcesStart(events: readonly RolloutEvent[]): boolean {
  return events.some(({ reason }) => ANNOUNCEMENTS.some((each) => each === reason));
}

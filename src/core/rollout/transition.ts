import type { ProxyProfile, ProxyProfileStatus } from '../api/proxy-profile.ts';

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

import { NodeAssigner } from './assignment.ts';
import { RosterMemo } from './memo.ts';
import { NodePairs } from './pairs.ts';

/**
 * What a plan leaves for the next one. It decides nothing: with it and without it equal objects at an equal time give an equal
 * plan, but where few objects have changed since the last plan, few are looked at.
 */
export class PlanMemory {
  readonly pairs = new NodePairs();
  readonly assigner = new NodeAssigner();
  /** By the name of the profile. */
  readonly #rosters = new Map<string, RosterMemo>();

  rosterOf(profile: string): RosterMemo {
    const memo = this.#rosters.get(profile) ?? new RosterMemo();
    this.#rosters.set(profile, memo);
    return memo;
  }

  /** Of other profiles nothing is kept. */
  keep(profiles: ReadonlySet<string>): void {
    for (const name of this.#rosters.keys()) if (!profiles.has(name)) this.#rosters.delete(name);
  }
}

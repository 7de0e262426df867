import { profileOf, takesSlot } from '../../../../src/core/rollout/actions.ts';
import type { ProfilePlan, RolloutPlan } from '../../../../src/core/rollout/rollout.ts';
import type { SimulatedCluster } from './cluster.ts';

/**
 * Controllers that each make a number of writes and end, in the order in which `PlanWriter` makes them; an event whose name
 * is there already is no write.
 */
export class MortalControllers {
  readonly #cluster: SimulatedCluster;
  readonly #writesEach: number;
  #left = 0;
  /** Reason of each event, by its name. */
  readonly told = new Map<string, string>();

  constructor(cluster: SimulatedCluster, writesEach: number) {
    this.#cluster = cluster;
    this.#writesEach = writesEach;
  }

  /** The life of one of them. */
  live(): void {
    this.#left = this.#writesEach;
    this.#carryOut(this.#cluster.plan());
  }

  /** Whether it was alive to do it. */
  #do(write: () => void): boolean {
    if (this.#left <= 0) return false;
    this.#left -= 1;
    write();
    return true;
  }

  #carryOut(plan: RolloutPlan): void {
    for (const { profile, record } of plan.profiles) {
      if (record !== undefined) this.#do(() => this.#cluster.record(profile, record));
    }
    for (const action of plan.actions.filter((each) => !takesSlot(each))) this.#do(() => this.#cluster.write(action));
    const held = new Set(plan.tellFirst);
    const isFirst = ({ profile }: ProfilePlan) => plan.tellFirst.has(profile.metadata.name);
    for (const each of plan.profiles.filter(isFirst)) if (this.#tell(each)) held.delete(each.profile.metadata.name);
    for (const action of plan.actions.filter((each) => takesSlot(each) && !held.has(profileOf(each)))) {
      this.#do(() => this.#cluster.write(action));
    }
    for (const each of plan.profiles.filter((one) => !isFirst(one))) this.#tell(each);
  }

  #tell({ profile, status, events, isChanged }: ProfilePlan): boolean {
    for (const { name, reason } of events) {
      if (!this.told.has(name) && !this.#do(() => this.told.set(name, reason))) return false;
    }
    return !isChanged || this.#do(() => this.#cluster.profiles.set(profile.metadata.name, { ...profile, status }));
  }
}

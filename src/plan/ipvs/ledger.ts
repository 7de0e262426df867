import type { ServicePortChange, ServicePortKey } from '../../core/service/snapshot.ts';
import type { IpvsObject } from './objects.ts';

/** An object, and the ServicePort that has it. */
export interface Claim {
  readonly owner: ServicePortKey;
  readonly object: IpvsObject;
}

/** How one object changes: made, removed, or made into another. */
export interface Transition {
  readonly before: IpvsObject | undefined;
  readonly after: IpvsObject | undefined;
}

/**
 * Who wants what. Several ServicePorts may want the same object: members of sets are shared, and of those that claim the
 * same frontend the one with the smallest key gets it, whatever the order in which they came.
 */
export class Ledger {
  readonly #claims = new Map<string, readonly Claim[]>();
  readonly #plan: (change: NonNullable<ServicePortChange['after']>) => readonly IpvsObject[];

  constructor(plan: (servicePort: NonNullable<ServicePortChange['after']>) => readonly IpvsObject[]) {
    this.#plan = plan;
  }

  /** Takes up `changes`, whose `before`s it holds, and returns what they come to. Costs what changed. */
  apply(changes: readonly ServicePortChange[]): readonly Transition[] {
    const befores = new Map<string, IpvsObject | undefined>();
    const touch = (id: string): void => {
      if (!befores.has(id)) befores.set(id, this.#winner(id));
    };
    for (const { key, before, after } of changes) {
      for (const object of before === undefined ? [] : this.#plan(before)) {
        touch(object.id);
        this.#drop(key, object.id);
      }
      for (const object of after === undefined ? [] : this.#plan(after)) {
        touch(object.id);
        this.#claim(key, object);
      }
    }
    return [...befores].map(([id, before]) => ({ before, after: this.#winner(id) }));
  }

  /** Everything that is wanted. */
  *objects(): Generator<IpvsObject> {
    for (const { object } of this.claims()) yield object;
  }

  /** Everything that is wanted, with who has it. */
  *claims(): Generator<Claim> {
    for (const [claim] of this.#claims.values()) if (claim !== undefined) yield claim;
  }

  #winner(id: string): IpvsObject | undefined {
    return this.#claims.get(id)?.[0]?.object;
  }

  #claim(owner: ServicePortKey, object: IpvsObject): void {
    const others = this.#claims.get(object.id);
    const claims = [...(others ?? []), { owner, object }];
    if (others !== undefined) claims.sort((a, b) => (a.owner < b.owner ? -1 : 1));
    this.#claims.set(object.id, claims);
  }

  #drop(owner: ServicePortKey, id: string): void {
    const left = (this.#claims.get(id) ?? []).filter((claim) => claim.owner !== owner);
    if (left.length === 0) this.#claims.delete(id);
    else this.#claims.set(id, left);
  }
}

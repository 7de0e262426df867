import type { ImplementedMode } from '../../core/mode.ts';
import type { Difference } from '../../kernel/dataplane.ts';

export interface Inspected {
  /** What the kernel has that it should not, and lacks, in the modes that follow. */
  readonly differences: readonly Difference[];
  /** Other modes of which there are rules of ours, although nobody follows them. */
  readonly leftovers: readonly ImplementedMode[];
}

/** Lets somebody outside the loop that writes to the kernel have it read back, between two writes. */
export class Inspection {
  #waiting: PromiseWithResolvers<Inspected>[] = [];

  /** Rejects with what the data plane throws. */
  request(): Promise<Inspected> {
    const asked = Promise.withResolvers<Inspected>();
    this.#waiting.push(asked);
    return asked.promise;
  }

  /** Serves all who wait; false where nobody does. */
  async perform(inspect: () => Promise<Inspected>): Promise<boolean> {
    const waiting = this.#waiting;
    if (waiting.length === 0) return false;
    this.#waiting = [];
    try {
      const found = await inspect();
      for (const asked of waiting) asked.resolve(found);
    } catch (error) {
      for (const asked of waiting) asked.reject(error);
    }
    return true;
  }
}

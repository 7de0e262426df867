import type { Difference } from '../../kernel/dataplane.ts';

/** Lets somebody outside the loop that writes to the kernel have it read back, between two writes. */
export class Inspection {
  #waiting: PromiseWithResolvers<readonly Difference[]>[] = [];

  /** What the kernel has that it should not, and lacks; rejects with what the data plane throws. */
  request(): Promise<readonly Difference[]> {
    const asked = Promise.withResolvers<readonly Difference[]>();
    this.#waiting.push(asked);
    return asked.promise;
  }

  /** Serves all who wait; false where nobody does. */
  async perform(inspect: () => Promise<readonly Difference[]>): Promise<boolean> {
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

import type { ServicePortChange, Snapshot } from '../core/snapshot.ts';
import type { Dataplane, Difference, SyncReport } from '../kernel/dataplane.ts';

/** A data plane that stands in the kernel and follows the Services: incrementally, or as a whole after any failure. */
export class ProgrammedMode {
  readonly dataplane: Dataplane;
  #isStale = true;

  constructor(dataplane: Dataplane) {
    this.dataplane = dataplane;
  }

  /** The kernel may not hold what it should; the next `follow` looks and repairs. */
  get isStale(): boolean {
    return this.#isStale;
  }

  markStale(): void {
    this.#isStale = true;
  }

  /** Brings the kernel to `snapshot`. Throws what the data plane throws; then it is stale and `follow` may be called again. */
  async follow(snapshot: Snapshot, changes: readonly ServicePortChange[]): Promise<SyncReport> {
    if (!this.#isStale && changes.length === 0) return { written: 0, removed: 0 };
    const isWhole = this.#isStale;
    this.#isStale = true;
    const report = isWhole ? await this.dataplane.sync(snapshot) : await this.dataplane.update(snapshot, changes);
    this.#isStale = false;
    return report;
  }

  async verify(snapshot: Snapshot): Promise<readonly Difference[]> {
    const differences = await this.dataplane.verify(snapshot);
    if (differences.length > 0) this.#isStale = true;
    return differences;
  }
}

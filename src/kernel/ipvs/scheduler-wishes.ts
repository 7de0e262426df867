import { DEFAULT_IPVS_OPTIONS } from '../../core/service/ipvs-options.ts';
import type { DataplaneOptions } from '../../core/service/snapshot.ts';
import type { LackedSchedulers } from '../../plan/ipvs/scheduling.ts';
import { MissingSchedulerError } from './missing-scheduler.ts';

/** Remembers which of the schedulers that Services ask for this kernel turned out not to have. */
export class SchedulerWishes {
  readonly #onMissing: (scheduler: string) => void;
  #lacked: LackedSchedulers = new Set();

  constructor(onMissing: (scheduler: string) => void = () => undefined) {
    this.#onMissing = onMissing;
  }

  get lacked(): LackedSchedulers {
    return this.#lacked;
  }

  /** Somebody may have loaded a module since. */
  forget(): void {
    this.#lacked = new Set();
  }

  /** False for anything but a scheduler that only some Services asked for, and that is now known to be lacking. */
  goesWithout(error: unknown, { ipvs }: Pick<DataplaneOptions, 'ipvs'>): boolean {
    if (!(error instanceof MissingSchedulerError)) return false;
    const { scheduler } = error;
    const { scheduler: usual } = ipvs ?? DEFAULT_IPVS_OPTIONS;
    if (scheduler === usual || this.#lacked.has(scheduler)) return false;
    this.#lacked = new Set([...this.#lacked, scheduler]);
    this.#onMissing(scheduler);
    return true;
  }
}

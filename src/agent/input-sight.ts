import {
  heardAt,
  lastingTroubles,
  NEVER_HEARD,
  type InputTrouble,
  type ServerHearing,
} from '../core/node/unread-inputs.ts';
import type { Trouble } from '../kube/complaints.ts';
import type { Answer } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import { ENDPOINT_SLICES_PATH, SERVICES_PATH } from './inputs.ts';

const WHAT: Readonly<Record<string, string>> = {
  [SERVICES_PATH]: 'Services',
  [ENDPOINT_SLICES_PATH]: 'EndpointSlices',
};
const LOOK_MS = 5_000;

export interface InputSightParts {
  readonly troubles: () => readonly Trouble[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** `unread` has changed. */
  readonly onChange: () => void;
}

/** Whether this agent still sees what its rules are made of. */
export class InputSight {
  readonly #parts: InputSightParts;
  #hearing: ServerHearing = NEVER_HEARD;
  #told: ReadonlySet<string> = new Set();

  constructor(parts: InputSightParts) {
    this.#parts = parts;
  }

  /** Of every request to the API server. */
  answered({ status }: Pick<Answer, 'status'>): void {
    if (status !== 0) this.#hearing = heardAt(this.#hearing, this.#parts.clock.monotonicMs());
  }

  /** What cannot be read, for longer than a moment, from an API server that can be reached. */
  get unread(): readonly InputTrouble[] {
    return lastingTroubles(this.#troubles(), this.#hearing, this.#told, this.#parts.clock.monotonicMs());
  }

  /** For how many seconds each cannot be read, whatever the reason; 0 while it is followed. */
  unreadSeconds(): ReadonlyMap<string, number> {
    const nowMs = this.#parts.clock.monotonicMs();
    const seconds = new Map(Object.values(WHAT).map((what) => [what, 0]));
    for (const { what, sinceMs } of this.#troubles()) seconds.set(what, (nowMs - sinceMs) / 1_000);
    return seconds;
  }

  /** Trouble may have ended. */
  look(): void {
    const now = new Set(this.unread.map(({ what }) => what));
    if (now.size === this.#told.size && [...now].every((what) => this.#told.has(what))) return;
    this.#told = now;
    this.#parts.onChange();
  }

  /** Looks now and then until the signal aborts: trouble counts only once it lasts. */
  async watch(): Promise<void> {
    const { clock, signal } = this.#parts;
    while (!signal.aborted) {
      this.look();
      await clock.sleep(LOOK_MS, signal);
    }
  }

  #troubles(): InputTrouble[] {
    return this.#parts.troubles().flatMap(({ path, ...trouble }) => {
      const what = WHAT[path];
      return what === undefined ? [] : [{ ...trouble, what }];
    });
  }
}

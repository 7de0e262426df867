import type { Attempt, AttemptEvent } from '../core/mode-switch.ts';

/** A step that takes time but writes nothing: it goes on beside the loop, which follows the Services meanwhile. */
export class BackgroundStep {
  #key: string | undefined;
  #event: AttemptEvent | undefined;
  readonly #onDone: () => void;

  constructor(onDone: () => void) {
    this.#onDone = onDone;
  }

  /** Begins `work` for this attempt's phase, once; gives its event when it is over, undefined before. `work` must not throw. */
  take({ id, phase, startedAtMs }: Attempt, work: () => Promise<AttemptEvent>): AttemptEvent | undefined {
    const key = `${id} ${phase} ${startedAtMs}`;
    if (this.#key !== key) {
      this.#key = key;
      this.#event = undefined;
      void work().then((event) => {
        if (this.#key !== key) return;
        this.#event = event;
        this.#onDone();
      });
    }
    return this.#event;
  }
}

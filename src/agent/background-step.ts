import type { Attempt, AttemptEvent } from '../core/node/mode-switch.ts';

/** A step that takes time but writes nothing: it goes on beside the loop, which follows the Services meanwhile. */
export class BackgroundStep {
  #key: string | undefined;
  #event: AttemptEvent | undefined;
  #stop = new AbortController();
  readonly #onDone: () => void;

  constructor(onDone: () => void) {
    this.#onDone = onDone;
  }

  /**
   * Begins `work` for this attempt's phase, once; gives its event when it is over, undefined before. `work` must not throw,
   * and ends soon once its signal aborts: when another phase begins, or on `stop`.
   */
  take(
    { id, phase, startedAtMs }: Attempt,
    work: (signal: AbortSignal) => Promise<AttemptEvent>,
  ): AttemptEvent | undefined {
    const key = `${id} ${phase} ${startedAtMs}`;
    if (this.#key !== key) {
      this.stop();
      this.#key = key;
      void work(this.#stop.signal).then((event) => {
        if (this.#key !== key) return;
        this.#event = event;
        this.#onDone();
      });
    }
    return this.#event;
  }

  /** What was under way is of no interest any more. */
  stop(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#key = undefined;
    this.#event = undefined;
  }
}

/** Below this there is nothing to gain. */
const MIN_BYTES = 80_000_000;
/** How much more than what is in use may lie around before it is collected. */
const GROWTH = 1.4;

export interface HeapLimitParts {
  readonly usedBytes?: () => number;
  /** Collects all garbage and gives the pages back. */
  readonly collect?: () => void;
}

/**
 * Collects between two plans when garbage has piled up: what a plan of thousands of nodes leaves behind is old enough by
 * then for V8 to keep it until it is twice what is in use. Does nothing without --expose-gc.
 */
export class HeapLimit {
  readonly #usedBytes: () => number;
  readonly #collect: () => void;
  #limitBytes = MIN_BYTES;

  constructor({ usedBytes = () => process.memoryUsage().heapUsed, collect = collectAll }: HeapLimitParts = {}) {
    this.#usedBytes = usedBytes;
    this.#collect = collect;
  }

  check(): void {
    if (this.#usedBytes() < this.#limitBytes) return;
    this.#collect();
    this.#limitBytes = Math.max(MIN_BYTES, this.#usedBytes() * GROWTH);
  }
}

function collectAll(): void {
  void globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

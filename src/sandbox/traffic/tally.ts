import { OUTCOMES, type LoadTarget, type Outcome, type TargetReport } from './messages.ts';

export function noOutcomes(): Record<Outcome, number> {
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
}

/** Counts one target's attempts. Each `begin` must be followed by one `end`, so `attempts` is always accounted for. */
export class Tally {
  readonly #target: LoadTarget;
  readonly #outcomes = noOutcomes();
  readonly #backends = new Map<string, number>();
  #attempts = 0;
  #pending = 0;
  #heldOpen = 0;
  #heldExchanges = 0;
  #slowestMs = 0;

  constructor(target: LoadTarget) {
    this.#target = target;
  }

  get pending(): number {
    return this.#pending;
  }

  begin(): void {
    this.#attempts += 1;
    this.#pending += 1;
  }

  end(outcome: Outcome): void {
    this.#pending -= 1;
    this.#outcomes[outcome] += 1;
  }

  answered(milliseconds: number, identity?: string): void {
    this.#slowestMs = Math.max(this.#slowestMs, Math.round(milliseconds));
    if (identity !== undefined) this.#backends.set(identity, (this.#backends.get(identity) ?? 0) + 1);
  }

  /** The server that answered a new connection first. */
  get firstBackend(): string | undefined {
    return this.#backends.keys().next().value;
  }

  flowOpened(): void {
    this.#heldOpen += 1;
  }

  flowExchanged(): void {
    this.#heldExchanges += 1;
  }

  flowClosed(): void {
    this.#heldOpen -= 1;
  }

  report(): TargetReport {
    return {
      name: this.#target.name,
      protocol: this.#target.protocol,
      attempts: this.#attempts,
      outcomes: { ...this.#outcomes },
      pending: this.#pending,
      heldOpen: this.#heldOpen,
      heldExchanges: this.#heldExchanges,
      backends: Object.fromEntries(this.#backends),
      slowestMs: this.#slowestMs,
    };
  }
}

/** What is wrong with an answer, if anything. */
export function judge(target: LoadTarget, identity: string, source: string): Outcome {
  if (target.backends.length > 0 && !target.backends.includes(identity)) return 'wrong-backend';
  if (target.sources !== undefined && !target.sources.includes(source)) return 'wrong-source';
  return 'ok';
}

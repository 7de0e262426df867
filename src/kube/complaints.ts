import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { ApiError, isApiStatus, nextStep } from './error.ts';

const REPEAT_MS = 60_000;

/** A collection that cannot be read. */
export interface Trouble {
  readonly path: string;
  readonly problem: string;
  readonly isRefused: boolean;
  /** Monotonic. */
  readonly sinceMs: number;
}

/**
 * Says trouble with the API server once, and again each minute while it lasts: several watches that meet the same outage
 * are one trouble.
 */
export class Complaints {
  readonly #server: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #saidAtMs = new Map<string, number>();
  readonly #troubles = new Map<string, Trouble>();

  constructor({ server, log, clock }: { server: string; log: Log; clock: Clock }) {
    this.#server = server;
    this.#log = log;
    this.#clock = clock;
  }

  say(path: string, error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    this.#note(path, problem, error);
    const isUnreachable = error instanceof ApiError && error.status === 0;
    const trouble = isUnreachable ? this.#server : problem;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - (this.#saidAtMs.get(trouble) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    this.#saidAtMs.set(trouble, nowMs);
    this.#log.warn(
      { path, problem, nextStep: nextStep(error, this.#server) },
      'cannot read from the API server; the rules stay as they are',
    );
  }

  /** What cannot be read now, by path of its collection. */
  get troubles(): readonly Trouble[] {
    return [...this.#troubles.values()];
  }

  #note(path: string, problem: string, error: unknown): void {
    const isRefused = isApiStatus(error, 401) || isApiStatus(error, 403);
    const sinceMs = this.#troubles.get(path)?.sinceMs ?? this.#clock.monotonicMs();
    this.#troubles.set(path, { path, problem, isRefused, sinceMs });
  }

  /** This collection is followed again. */
  end(path: string): void {
    this.#troubles.delete(path);
  }

  /** The server answers again. */
  forget(): void {
    this.#saidAtMs.clear();
  }
}

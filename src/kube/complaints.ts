import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { ApiError, isApiStatus, nextStep } from './error.ts';

const REPEAT_MS = 60_000;

/** A collection that cannot be read. */
export interface Trouble {
  readonly path: string;
  readonly problem: string;
  readonly isRefused: boolean;
  /** Monotonic, as is the next. */
  readonly sinceMs: number;
  /** Since when each try was answered with a refusal or a failure; null where the last one had no answer. */
  readonly deniedSinceMs: number | null;
  /** When that began by the wall clock, milliseconds since 1970. */
  readonly sinceAtMs: number;
}

export interface ComplaintsParts {
  readonly server: string;
  readonly log: Log;
  readonly clock: Clock;
  /** A collection that could not be read is followed again. */
  readonly onEnd?: () => void;
}

/**
 * Says trouble with the API server once, and again each minute while it lasts: several watches that meet the same outage
 * are one trouble.
 */
export class Complaints {
  readonly #server: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  readonly #saidAtMs = new Map<string, number>();
  readonly #troubles = new Map<string, Trouble>();

  constructor({ server, log, clock, onEnd = () => undefined }: ComplaintsParts) {
    this.#server = server;
    this.#log = log;
    this.#clock = clock;
    this.#onEnd = onEnd;
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
    const nowMs = this.#clock.monotonicMs();
    const { sinceMs = nowMs, sinceAtMs = this.#clock.now(), deniedSinceMs } = this.#troubles.get(path) ?? {};
    const isDenied = error instanceof ApiError && error.status !== 0;
    const denied = isDenied ? (deniedSinceMs ?? nowMs) : null;
    this.#troubles.set(path, { path, problem, isRefused, sinceMs, sinceAtMs, deniedSinceMs: denied });
  }

  /** This collection is followed again. */
  end(path: string): void {
    if (this.#troubles.delete(path)) this.#onEnd();
  }

  /** The server answers again. */
  forget(): void {
    this.#saidAtMs.clear();
  }
}

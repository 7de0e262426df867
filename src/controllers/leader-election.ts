import { isApiStatus } from '../kube/error.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';

/** As in client-go, so that operators meet no surprises. */
export const LEASE_DURATION_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2_000;

/** What a Lease says, and the version that a write must name. */
export interface LeaseRecord {
  readonly holder: string;
  readonly durationMs: number;
  readonly acquireMs: number;
  readonly renewMs: number;
  readonly transitions: number;
}

export interface LeaseStore<V = unknown> {
  /** Undefined when there is no Lease. */
  read(): Promise<{ readonly record: LeaseRecord; readonly version: V } | undefined>;
  /** Creates without a version; fails when the Lease is not of that version any more. Throws ApiError. */
  write(record: LeaseRecord, version: V | undefined): Promise<void>;
}

export interface LeaderElectionParts {
  readonly store: LeaseStore;
  /** Of this process and no other one. */
  readonly identity: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly onFailure: (error: unknown) => void;
}

/**
 * One holder of a Lease at a time. A Lease counts as expired when it has not changed for its duration as measured here,
 * so clocks of different machines need not agree.
 */
export class LeaderElection {
  readonly #parts: LeaderElectionParts;
  #seen: { readonly record: LeaseRecord; readonly sinceMs: number } | undefined;

  constructor(parts: LeaderElectionParts) {
    this.#parts = parts;
  }

  /** Resolves to true once this process leads, to false when `signal` aborts before. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, log, identity } = this.#parts;
    let saidHolder: string | undefined;
    while (!signal.aborted) {
      if (await this.#tryHold()) {
        log.info({ identity }, 'leads');
        return true;
      }
      const holder = this.#seen?.record.holder;
      if (holder !== undefined && holder !== saidHolder) log.info({ holder }, 'waits for the leader to end');
      saidHolder = holder;
      await clock.sleep(RETRY_MS * (1 + Math.random() / 5), signal);
    }
    return false;
  }

  /** Renews until `signal` aborts (true) or the Lease is lost (false): then nothing may be written any more. */
  async hold(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#parts;
    let heldMs = clock.monotonicMs();
    while (!signal.aborted) {
      await clock.sleep(RETRY_MS, signal);
      if (signal.aborted) break;
      const triedMs = clock.monotonicMs();
      if (await this.#tryHold()) heldMs = triedMs;
      else if (this.#isTaken() || clock.monotonicMs() - heldMs > RENEW_DEADLINE_MS) return false;
    }
    return true;
  }

  /** Lets another process lead at once. */
  async release(): Promise<void> {
    const { store, identity, clock, log } = this.#parts;
    try {
      const found = await store.read();
      if (found?.record.holder !== identity) return;
      await store.write({ ...found.record, holder: '', durationMs: 1_000, renewMs: clock.now() }, found.version);
      log.info({ identity }, 'leads no more');
    } catch (error) {
      log.warn({ problem: (error as Error).message }, 'the Lease could not be released; it expires by itself');
    }
  }

  #isTaken(): boolean {
    const holder = this.#seen?.record.holder;
    return holder !== undefined && holder !== '' && holder !== this.#parts.identity;
  }

  async #tryHold(): Promise<boolean> {
    const { store, identity, clock, onFailure } = this.#parts;
    const timeout = AbortSignal.timeout(RENEW_DEADLINE_MS / 2);
    try {
      const found = await withTimeout(store.read(), timeout);
      if (found !== undefined && !this.#mayTake(found.record)) return false;
      const isOwn = found?.record.holder === identity;
      const nowMs = clock.now();
      const record: LeaseRecord = {
        holder: identity,
        durationMs: LEASE_DURATION_MS,
        acquireMs: isOwn ? found.record.acquireMs : nowMs,
        renewMs: nowMs,
        transitions: (found?.record.transitions ?? 0) + (isOwn || found === undefined ? 0 : 1),
      };
      await withTimeout(store.write(record, found?.version), timeout);
      this.#seen = { record, sinceMs: clock.monotonicMs() };
      return true;
    } catch (error) {
      // Somebody else was quicker; who it is shows in the next read.
      if (!isApiStatus(error, 409)) onFailure(error);
      return false;
    }
  }

  #mayTake(record: LeaseRecord): boolean {
    const { identity, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (JSON.stringify(this.#seen?.record) !== JSON.stringify(record)) this.#seen = { record, sinceMs: nowMs };
    const isFree = record.holder === '' || record.holder === identity;
    return isFree || nowMs - (this.#seen?.sinceMs ?? nowMs) >= record.durationMs;
  }
}

/** A request that hangs must not keep a leader from noticing that it leads no more. */
async function withTimeout<T>(work: Promise<T>, timeout: AbortSignal): Promise<T> {
  const expired = Promise.withResolvers<never>();
  const expire = () => expired.reject(timeout.reason as Error);
  timeout.addEventListener('abort', expire);
  try {
    return await Promise.race([work, expired.promise]);
  } finally {
    timeout.removeEventListener('abort', expire);
  }
}

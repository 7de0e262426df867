import type { CoreV1Api, CoreV1Event } from '@kubernetes/client-node';
import type { ProxyProfile } from '../core/api/proxy-profile.ts';
import type { RolloutEvent } from '../core/rollout/transition.ts';
import type { ApiError } from '../kube/error.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { toApiError } from './api-failure.ts';

/** Where events of objects without a namespace live. */
const NAMESPACE = 'default';
/** How long what comes after an event waits while the API server takes none. */
export const PATIENCE_MS = 10_000;
/** More than a rollout tells in hours; then the oldest are forgotten. */
const MAX_OWED = 500;

export interface EventTellerParts {
  readonly core: Pick<CoreV1Api, 'createNamespacedEvent'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly component: string;
  /** Of this process. */
  readonly identity: string;
  readonly onWrite: (kind: string, verb: string, error: ApiError | undefined) => void;
}

/** An event about a profile, and when what it tells came to be. */
export interface Tiding {
  readonly profile: ProxyProfile;
  readonly event: RolloutEvent;
  readonly at: Date;
  /** Called once, when the event is there. */
  readonly onTold?: () => void;
}

export interface Telling {
  readonly failure: ApiError | undefined;
  /** What makes the event impossible to derive again may be written: it is told, or has been waited for in vain. */
  readonly mayGoOn: boolean;
}

/** The request itself is no good, whoever sends it and whenever. */
function isRefusedForGood({ status }: ApiError): boolean {
  return [400, 413, 422].includes(status);
}

/**
 * Writes events, each once by its name. While the API server takes none, what depends on them waits for `PATIENCE_MS`;
 * from then on nothing waits, and what could not be written is kept and tried again, for as long as this process lives.
 */
export class EventTeller {
  readonly #parts: EventTellerParts;
  readonly #owed = new Map<string, Tiding>();
  #failingSinceMs: number | undefined;

  constructor(parts: EventTellerParts) {
    this.#parts = parts;
  }

  async tell(tiding: Tiding): Promise<Telling> {
    const { name } = tiding.event;
    if (this.#owed.has(name)) return { failure: undefined, mayGoOn: true };
    const failure = await this.#write(tiding);
    if (failure === undefined || isRefusedForGood(failure)) return { failure, mayGoOn: true };
    const nowMs = this.#parts.clock.monotonicMs();
    this.#failingSinceMs ??= nowMs;
    const mayGoOn = nowMs - this.#failingSinceMs >= PATIENCE_MS;
    if (mayGoOn) this.#owe(tiding);
    return { failure, mayGoOn };
  }

  #owe(tiding: Tiding): void {
    const [oldest] = this.#owed.keys();
    if (this.#owed.size >= MAX_OWED && oldest !== undefined) this.#owed.delete(oldest);
    this.#owed.set(tiding.event.name, tiding);
  }

  /** Tries again what is owed, in order, until one fails. */
  async settle(signal: AbortSignal): Promise<ApiError | undefined> {
    for (const [name, tiding] of this.#owed) {
      if (signal.aborted) return undefined;
      const failure = await this.#write(tiding);
      if (failure !== undefined && !isRefusedForGood(failure)) return failure;
      this.#owed.delete(name);
    }
    return undefined;
  }

  async #write(tiding: Tiding): Promise<ApiError | undefined> {
    const { core, log, onWrite } = this.#parts;
    const { event, profile } = tiding;
    try {
      await core.createNamespacedEvent({ namespace: NAMESPACE, body: this.#body(tiding) });
      onWrite('Event', 'create', undefined);
      log.info({ profile: profile.metadata.name, reason: event.reason, detail: event.message }, 'event');
    } catch (caught) {
      const failure = toApiError('create', `Event ${event.name}`, caught);
      onWrite('Event', 'create', failure);
      // Told before, by this process or one before it: a status that could not be written after it leads here again.
      if (failure.reason !== 'AlreadyExists') return failure;
    }
    this.#failingSinceMs = undefined;
    tiding.onTold?.();
    return undefined;
  }

  #body({ profile, event, at }: Tiding): CoreV1Event {
    const { component, identity } = this.#parts;
    const { apiVersion, kind, metadata } = profile;
    const { name, type, reason, message } = event;
    return {
      metadata: { name, namespace: NAMESPACE },
      involvedObject: { apiVersion, kind, name: metadata.name, ...(metadata.uid ? { uid: metadata.uid } : {}) },
      type,
      reason,
      message,
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
      source: { component },
      reportingComponent: component,
      reportingInstance: identity,
    };
  }
}

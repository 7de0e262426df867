import { API_VERSION } from '../core/api/meta.ts';
import { eventName } from '../core/event-name.ts';
import type { ObjectReference, ReportedProblem } from '../core/service/service-problems.ts';
import type { Taken } from '../core/service/service-table.ts';
import type { KubeClient } from '../kube/client.ts';
import { ApiError, isApiStatus } from '../kube/error.ts';
import { Backoff } from '../support/backoff.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import type { FollowObserver } from './services/follow-observer.ts';

/** Who says it; the instance is the node. */
const CONTROLLER = 'switchyard.dev/agent';
/** Where events of objects without a namespace live. */
const CLUSTER_NAMESPACE = 'default';
const API_VERSIONS: Readonly<Record<string, string>> = {
  EndpointSlice: 'discovery.k8s.io/v1',
  NodeProxyState: API_VERSION,
};
const MAX_NOTE_BYTES = 1024;
/** Of the API server; names of nodes may be longer. The admission policy of the chart knows of it. */
const MAX_INSTANCE = 128;
/** A hostile client can make objects wrong faster than thousands of nodes should complain. */
const BURST = 25;
const REFILL_MS = 10_000;
const MAX_QUEUED = 100;

/** Something to tell about an object. Telling the same thing twice makes one event, whichever node tells it. */
export interface ObjectEvent {
  readonly reference: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly note: string;
  /** What sets it apart from another event that reads the same, e.g. the node that it is about. */
  readonly about?: string;
}

export interface EventParts {
  readonly client: Pick<KubeClient, 'create'>;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Writes events when the API server takes them: in order, few at a time, never more than once, and nobody waits for it. */
export class EventWriter implements FollowObserver {
  readonly #parts: EventParts;
  readonly #queue: ObjectEvent[] = [];
  readonly #retry = new Backoff({ firstMs: 1_000, maxMs: 60_000 });
  #isBusy = false;
  #tokens = BURST;
  #refilledAtMs: number;

  constructor(parts: EventParts) {
    this.#parts = parts;
    this.#refilledAtMs = parts.clock.monotonicMs();
  }

  /** One event for each object with problems. */
  taken({ problems }: Taken): void {
    for (const event of problemEvents(problems)) this.say(event);
  }

  /** Beyond a hundred that wait the newest are left out: what was said first is what happened first. */
  say(event: ObjectEvent): void {
    if (this.#queue.length >= MAX_QUEUED) {
      this.#parts.log.debug({ reason: event.reason, object: event.reference.name }, 'too many events; left one out');
      return;
    }
    this.#queue.push(event);
    if (!this.#isBusy) void this.#work();
  }

  async #work(): Promise<void> {
    const { clock, signal } = this.#parts;
    this.#isBusy = true;
    for (let [next] = this.#queue; next !== undefined && !signal.aborted; [next] = this.#queue) {
      const waitMs = this.#takeToken();
      if (waitMs > 0) await clock.sleep(waitMs, signal);
      else if (await this.#write(next)) this.#queue.shift();
      else await clock.sleep(this.#retry.nextMs(), signal);
    }
    this.#isBusy = false;
  }

  /** Milliseconds until there is one; 0 when it was taken. */
  #takeToken(): number {
    const nowMs = this.#parts.clock.monotonicMs();
    const refills = Math.floor((nowMs - this.#refilledAtMs) / REFILL_MS);
    this.#tokens = Math.min(BURST, this.#tokens + refills);
    this.#refilledAtMs += refills * REFILL_MS;
    if (this.#tokens === 0) return this.#refilledAtMs + REFILL_MS - nowMs;
    this.#tokens -= 1;
    return 0;
  }

  /** Whether it is done with: written, there already, or refused for good. */
  async #write(event: ObjectEvent): Promise<boolean> {
    const { client, clock, log, nodeName, signal } = this.#parts;
    const body = eventBody(event, nodeName, clock.now());
    try {
      await client.create(`/apis/events.k8s.io/v1/namespaces/${body.metadata.namespace}/events`, body, signal);
    } catch (error) {
      const isRetryable = error instanceof ApiError && error.retryable && !isApiStatus(error, 409);
      if (isRetryable) return false;
      if (!isApiStatus(error, 409)) log.debug({ problem: (error as Error).message }, 'cannot write an event');
    }
    this.#retry.reset();
    return true;
  }
}

function problemEvents(problems: readonly ReportedProblem[]): ObjectEvent[] {
  const byObject = new Map<string, { reference: ObjectReference; texts: string[] }>();
  for (const { object, reference, path, message } of problems) {
    if (reference === undefined) continue;
    const known = byObject.get(object) ?? { reference, texts: [] };
    known.texts.push(`${path}: ${message}`);
    byObject.set(object, known);
  }
  return [...byObject.values()].map(({ reference, texts }) => ({
    reference,
    type: 'Warning',
    reason: 'CannotUseField',
    action: 'Program',
    note: `The Service proxy leaves out what it cannot use: ${texts.join('; ')}`,
  }));
}

function eventBody({ reference, type, reason, action, note, about }: ObjectEvent, nodeName: string, nowMs: number) {
  const { kind, namespace, name, uid, resourceVersion } = reference;
  // Not its version: nodes that hear of another one say the same of it.
  const identity = JSON.stringify([kind, namespace, name, uid, reason, note, about]);
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: eventName(name, identity), namespace: namespace === '' ? CLUSTER_NAMESPACE : namespace },
    eventTime: new Date(nowMs).toISOString().replace('Z', '000Z'),
    reportingController: CONTROLLER,
    reportingInstance: nodeName.slice(0, MAX_INSTANCE),
    type,
    reason,
    action,
    note: cut(note),
    regarding: {
      apiVersion: API_VERSIONS[kind] ?? 'v1',
      kind,
      name,
      ...(namespace === '' ? {} : { namespace }),
      ...(uid === '' ? {} : { uid }),
      ...(resourceVersion === '' ? {} : { resourceVersion }),
    },
  };
}

/** At most as many bytes as the API server takes. */
function cut(note: string): string {
  if (Buffer.byteLength(note) <= MAX_NOTE_BYTES) return note;
  const kept = Buffer.from(note)
    .subarray(0, MAX_NOTE_BYTES - 4)
    .toString('utf8');
  return `${kept.replace(/\uFFFD+$/, '')}…`;
}

import type { RolloutEvent } from '../core/rollout/transition.ts';
import { CoreV1Api, CustomObjectsApi, type CoreV1Event, type KubeConfig } from '@kubernetes/client-node';
import { GROUP, VERSION } from '../core/api/meta.ts';
import type { NodeProxyState } from '../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../core/api/proxy-profile.ts';
import { nameEvent } from '../core/rollout/events.ts';
import { FINALIZER, type FinalizerAction } from '../core/rollout/release.ts';
import type { ProfilePlan, RolloutPlan, StateAction } from '../core/rollout/rollout.ts';
import type { ApiError } from '../kube/error.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { toApiError } from './api-failure.ts';
import type { ObjectCache } from './object-cache.ts';
import type { RevisionStore } from './revision-store.ts';
import { StateWriter } from './state-writer.ts';

export const FIELD_MANAGER = 'switchyard-controller';
/** Where events of objects without a namespace live. */
const EVENT_NAMESPACE = 'default';

const PROFILES = { group: GROUP, version: VERSION, plural: 'proxyprofiles' } as const;

export interface PlanWriterParts {
  readonly kubeConfig: KubeConfig;
  readonly states: ObjectCache<NodeProxyState>;
  readonly profiles: ObjectCache<ProxyProfile>;
  readonly revisions: RevisionStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Of this process, for events. */
  readonly identity: string;
  readonly onWrite: (kind: string, verb: string, error: ApiError | undefined) => void;
  readonly onGrant: (profile: string) => void;
  readonly onEvent: (plan: ProfilePlan, event: RolloutEvent) => void;
}

/** Counts in a status are written no more often than this. */
const STATUS_INTERVAL_MS = 2_000;

export interface WriteResult {
  readonly failures: readonly ApiError[];
  /** In how many milliseconds there is something to write that may wait; undefined when there is nothing. */
  readonly restInMs: number | undefined;
}

function takesSlot(action: StateAction): boolean {
  return action.kind === 'Create' || (action.kind === 'ReplaceSpec' && ['Grant', 'Release'].includes(action.purpose));
}

type Step = () => Promise<ApiError | undefined>;

/**
 * Carries a plan out. Every write states the version of the object that the plan rests on, so that the API server
 * refuses what was decided on something older. One that fails stops no other; the next plan makes it again.
 */
export class PlanWriter {
  readonly #parts: PlanWriterParts;
  readonly #objects: CustomObjectsApi;
  readonly #states: StateWriter;
  readonly #core: CoreV1Api;
  /** By name of the profile, when its status was last written. */
  readonly #statusWrittenMs = new Map<string, number>();

  constructor(parts: PlanWriterParts) {
    this.#parts = parts;
    this.#objects = parts.kubeConfig.makeApiClient(CustomObjectsApi);
    this.#core = parts.kubeConfig.makeApiClient(CoreV1Api);
    this.#states = new StateWriter({ ...parts, fieldManager: FIELD_MANAGER });
  }

  /** Stops between two writes when `signal` aborts. */
  async write(plan: RolloutPlan, now: Date, signal: AbortSignal): Promise<WriteResult> {
    const failures: ApiError[] = [];
    const run = async (steps: readonly Step[]) => {
      for (const step of steps) {
        if (signal.aborted) return;
        const failure = await step();
        if (failure !== undefined) failures.push(failure);
      }
    };
    const touched = new Set(plan.finalizers.map(({ profile }) => profile.metadata.name));
    await run(plan.profiles.flatMap((each) => this.#recordSteps(each)));
    await run(this.#releaseEvents(plan, now));
    await run(plan.finalizers.map((each) => () => this.#writeFinalizer(each)));
    const grants = plan.actions.filter(takesSlot);
    const others = plan.actions.filter((action) => !takesSlot(action));
    const before = failures.length;
    await run(others.map((action) => () => this.#writeState(action)));
    // A slot that could not be given back because its node has just reported is free for others in the next plan only. A node
    // that could not be started takes none from the others.
    const isFree = !failures.slice(before).some((failure) => failure.status === 409);
    if (isFree) await run(grants.map((action) => () => this.#writeState(action)));
    // The others have just changed; the next plan writes their status.
    const rest = plan.profiles.filter(({ profile }) => !touched.has(profile.metadata.name));
    const waits = rest.map((each) => this.#statusWaitMs(each));
    await run(rest.flatMap((each, index) => ((waits[index] ?? 0) > 0 ? [] : this.#profileSteps(each, now))));
    const waiting = waits.filter((ms) => ms > 0);
    return { failures, restInMs: waiting.length === 0 ? undefined : Math.min(...waiting) };
  }

  #statusWaitMs({ profile, isChanged, isUrgent, events }: ProfilePlan): number {
    if (!isChanged || isUrgent || events.length > 0) return 0;
    const writtenMs = this.#statusWrittenMs.get(profile.metadata.name) ?? -Infinity;
    return Math.max(0, writtenMs + STATUS_INTERVAL_MS - this.#parts.clock.monotonicMs());
  }

  /** Events first: were the status first, a process that ends between the two would never tell them. */
  #profileSteps(plan: ProfilePlan, now: Date): Step[] {
    return [
      ...plan.events.map((event) => async () => {
        const failure = await this.#writeEvent(plan.profile, event, now);
        if (failure === undefined) this.#parts.onEvent(plan, event);
        return failure;
      }),
      ...(plan.isChanged ? [() => this.#writeStatus(plan)] : []),
    ];
  }

  #recordSteps({ profile, record }: ProfilePlan): Step[] {
    if (record === undefined) return [];
    const object = `ControllerRevision of ${profile.metadata.name}`;
    return [() => this.#attempt('record', object, () => this.#parts.revisions.record(profile, record))];
  }

  #releaseEvents({ released }: RolloutPlan, now: Date): Step[] {
    return released.flatMap(({ profile, unanswered }) =>
      unanswered.map((node) => {
        const message = `Node ${node} did not release in time and keeps what it runs.`;
        const event = nameEvent(profile, { type: 'Warning', reason: 'NodeSkipped', message, about: [node, 'release'] });
        return () => this.#writeEvent(profile, event, now);
      }),
    );
  }

  async #writeFinalizer({ profile, present }: FinalizerAction): Promise<ApiError | undefined> {
    const { name, finalizers = [] } = profile.metadata;
    const others = finalizers.filter((each) => each !== FINALIZER);
    return this.#attempt('update the finalizers of', `ProxyProfile ${name}`, async () => {
      const metadata = { ...profile.metadata, finalizers: present ? [...others, FINALIZER] : others };
      const request = { ...PROFILES, name, fieldManager: FIELD_MANAGER, body: { ...profile, metadata } };
      const written: unknown = await this.#objects.replaceClusterCustomObject(request);
      if (present) this.#parts.profiles.recordWrite(written as ProxyProfile);
    });
  }

  async #attempt(verb: string, object: string, write: () => Promise<void>): Promise<ApiError | undefined> {
    const [kind = ''] = object.split(' ');
    try {
      await write();
      this.#parts.onWrite(kind, verb, undefined);
      return undefined;
    } catch (caught) {
      const error = toApiError(verb, object, caught);
      this.#parts.onWrite(kind, verb, error);
      return error;
    }
  }

  #writeState(action: StateAction): Promise<ApiError | undefined> {
    const object = `NodeProxyState ${action.node}`;
    return this.#attempt(StateWriter.verbOf(action), object, () => this.#states.write(action));
  }

  async #writeStatus({ profile, status }: ProfilePlan): Promise<ApiError | undefined> {
    const { name } = profile.metadata;
    return this.#attempt('update the status of', `ProxyProfile ${name}`, async () => {
      const written: unknown = await this.#objects.replaceClusterCustomObjectStatus({
        ...PROFILES,
        name,
        fieldManager: FIELD_MANAGER,
        body: { ...profile, status },
      });
      this.#parts.profiles.recordWrite(written as ProxyProfile);
      this.#statusWrittenMs.set(name, this.#parts.clock.monotonicMs());
    });
  }

  async #writeEvent(profile: ProxyProfile, event: RolloutEvent, now: Date): Promise<ApiError | undefined> {
    const { log, identity } = this.#parts;
    const { apiVersion, kind, metadata } = profile;
    const { name, type, reason, message } = event;
    const body = {
      metadata: { name, namespace: EVENT_NAMESPACE },
      involvedObject: { apiVersion, kind, name: metadata.name, ...(metadata.uid ? { uid: metadata.uid } : {}) },
      type,
      reason,
      message,
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      source: { component: FIELD_MANAGER },
      reportingComponent: FIELD_MANAGER,
      reportingInstance: identity,
    } satisfies CoreV1Event;
    const failure = await this.#attempt('create', `Event ${name}`, async () => {
      await this.#core.createNamespacedEvent({ namespace: EVENT_NAMESPACE, body });
      log.info({ profile: metadata.name, reason, detail: message }, 'event');
    });
    // Told before: a status that could not be written after it leads here again.
    return failure?.status === 409 ? undefined : failure;
  }
}

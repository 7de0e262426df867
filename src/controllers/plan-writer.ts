import type { RolloutEvent } from '../core/rollout/transition.ts';
import { CoreV1Api, CustomObjectsApi, type KubeConfig } from '@kubernetes/client-node';
import { GROUP, VERSION } from '../core/api/meta.ts';
import type { NodeProxyState } from '../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../core/api/proxy-profile.ts';
import { nameEvent } from '../core/rollout/events.ts';
import { profileOf, takesSlot } from '../core/rollout/actions.ts';
import { FINALIZER, type FinalizerAction } from '../core/rollout/release.ts';
import type { ProfilePlan, RolloutPlan, StateAction } from '../core/rollout/rollout.ts';
import type { ApiError } from '../kube/error.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { toApiError } from './api-failure.ts';
import { EventTeller, type Telling } from './event-teller.ts';
import type { ObjectCache } from './object-cache.ts';
import type { RevisionStore } from './revision-store.ts';
import { StateWriter } from './state-writer.ts';

export const FIELD_MANAGER = 'switchyard-controller';

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
  /** What is to be kept of a state in an answer. */
  readonly readState: (written: NodeProxyState) => NodeProxyState;
  readonly onEvent: (plan: ProfilePlan, event: RolloutEvent) => void;
}

/** Counts in a status are written no more often than this. */
const STATUS_INTERVAL_MS = 2_000;

export interface WriteResult {
  readonly failures: readonly ApiError[];
  /** In how many milliseconds there is something to write that may wait; undefined when there is nothing. */
  readonly restInMs: number | undefined;
}

interface Told {
  readonly failure: ApiError | undefined;
  /** Events and status are as the plan says. */
  readonly isTold: boolean;
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
  readonly #teller: EventTeller;
  /** By name of the profile, when its status was last written. */
  readonly #statusWrittenMs = new Map<string, number>();

  constructor(parts: PlanWriterParts) {
    this.#parts = parts;
    this.#objects = parts.kubeConfig.makeApiClient(CustomObjectsApi);
    this.#teller = new EventTeller({
      ...parts,
      core: parts.kubeConfig.makeApiClient(CoreV1Api),
      component: FIELD_MANAGER,
    });
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
    const held = new Set(plan.tellFirst);
    const tell = (each: ProfilePlan) => async () => {
      const { failure, isTold } = await this.#tellProfile(each, now, signal);
      if (isTold) held.delete(each.profile.metadata.name);
      return failure;
    };
    await run([() => this.#teller.settle(signal)]);
    await run(plan.profiles.flatMap((each) => this.#recordSteps(each)));
    await run(plan.finalizers.map((each) => () => this.#writeFinalizer(each, plan, now)));
    const before = failures.length;
    await run(plan.actions.filter((action) => !takesSlot(action)).map((action) => () => this.#writeState(action)));
    // A slot that could not be given back because its node has just reported is free for others in the next plan only. A node
    // that could not be started takes none from the others.
    const isFree = !failures.slice(before).some((failure) => failure.status === 409);
    // The others have just changed; the next plan writes their status.
    const rest = plan.profiles.filter(({ profile }) => !touched.has(profile.metadata.name));
    const [first, later] = [true, false].map((isFirst) =>
      rest.filter(({ profile }) => plan.tellFirst.has(profile.metadata.name) === isFirst),
    ) as [ProfilePlan[], ProfilePlan[]];
    await run(first.map(tell));
    const grants = plan.actions.filter((action) => takesSlot(action) && !held.has(profileOf(action)));
    if (isFree) await run(grants.map((action) => () => this.#writeState(action)));
    const waits = later.map((each) => this.#statusWaitMs(each));
    await run(later.filter((_, index) => (waits[index] ?? 0) <= 0).map(tell));
    const waiting = waits.filter((ms) => ms > 0);
    return { failures, restInMs: waiting.length === 0 ? undefined : Math.min(...waiting) };
  }

  #statusWaitMs({ profile, isChanged, isUrgent, events }: ProfilePlan): number {
    if (!isChanged || isUrgent || events.length > 0) return 0;
    const writtenMs = this.#statusWrittenMs.get(profile.metadata.name) ?? -Infinity;
    return Math.max(0, writtenMs + STATUS_INTERVAL_MS - this.#parts.clock.monotonicMs());
  }

  /** Events first: were the status first, a process that ends between the two would never tell them. */
  async #tellProfile(plan: ProfilePlan, now: Date, signal: AbortSignal): Promise<Told> {
    const { profile, events, isChanged } = plan;
    let last: ApiError | undefined;
    for (const event of events) {
      if (signal.aborted) return { failure: last, isTold: false };
      const onTold = () => this.#parts.onEvent(plan, event);
      const { failure, mayGoOn } = await this.#teller.tell({ profile, event, at: now, onTold });
      if (!mayGoOn) return { failure, isTold: false };
      last = failure ?? last;
    }
    if (signal.aborted) return { failure: last, isTold: false };
    const failure = isChanged ? await this.#writeStatus(plan) : undefined;
    return { failure: failure ?? last, isTold: failure === undefined };
  }

  #recordSteps({ profile, record }: ProfilePlan): Step[] {
    if (record === undefined) return [];
    const object = `ControllerRevision of ${profile.metadata.name}`;
    return [() => this.#attempt('record', object, () => this.#parts.revisions.record(profile, record))];
  }

  /** Once the profile is gone, nobody could tell which nodes did not answer. */
  async #tellUnanswered(profile: ProxyProfile, { released }: RolloutPlan, at: Date): Promise<Telling> {
    const isOf = (each: RolloutPlan['released'][number]) => each.profile.metadata.uid === profile.metadata.uid;
    let last: ApiError | undefined;
    for (const node of released.filter(isOf).flatMap(({ unanswered }) => unanswered)) {
      const message = `Node ${node} did not release in time and keeps what it runs.`;
      const event = nameEvent(profile, { type: 'Warning', reason: 'NodeSkipped', message, about: [node, 'release'] });
      const { failure, mayGoOn } = await this.#teller.tell({ profile, event, at });
      if (!mayGoOn) return { failure, mayGoOn };
      last = failure ?? last;
    }
    return { failure: last, mayGoOn: true };
  }

  async #writeFinalizer(
    { profile, present }: FinalizerAction,
    plan: RolloutPlan,
    now: Date,
  ): Promise<ApiError | undefined> {
    const { failure, mayGoOn } = await this.#tellUnanswered(profile, plan, now);
    if (!mayGoOn) return failure;
    const { name, finalizers = [] } = profile.metadata;
    const others = finalizers.filter((each) => each !== FINALIZER);
    const failed = await this.#attempt('update the finalizers of', `ProxyProfile ${name}`, async () => {
      const metadata = { ...profile.metadata, finalizers: present ? [...others, FINALIZER] : others };
      const request = { ...PROFILES, name, fieldManager: FIELD_MANAGER, body: { ...profile, metadata } };
      const written: unknown = await this.#objects.replaceClusterCustomObject(request);
      if (present) this.#parts.profiles.recordWrite(written as ProxyProfile);
    });
    return failed ?? failure;
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
}

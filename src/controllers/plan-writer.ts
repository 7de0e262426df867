import { CoreV1Api, CustomObjectsApi, type CoreV1Event, type KubeConfig } from '@kubernetes/client-node';
import { GROUP, VERSION } from '../core/api/meta.ts';
import type { NodeProxyState } from '../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../core/api/proxy-profile.ts';
import type { RolloutEvent } from '../core/rollout-events.ts';
import type { ProfilePlan, RolloutPlan, StateAction } from '../core/rollout.ts';
import type { ApiError } from '../kube/error.ts';
import type { Log } from '../support/log.ts';
import { toApiError } from './api-failure.ts';
import type { ObjectCache } from './object-cache.ts';

export const FIELD_MANAGER = 'switchyard-controller';
/** Where events of objects without a namespace live. */
const EVENT_NAMESPACE = 'default';

const STATES = { group: GROUP, version: VERSION, plural: 'nodeproxystates' } as const;
const PROFILES = { group: GROUP, version: VERSION, plural: 'proxyprofiles' } as const;

export interface PlanWriterParts {
  readonly kubeConfig: KubeConfig;
  readonly states: ObjectCache<NodeProxyState>;
  readonly profiles: ObjectCache<ProxyProfile>;
  readonly log: Log;
  /** Of this process, for events. */
  readonly identity: string;
  readonly onWrite: (kind: string, verb: string, error: ApiError | undefined) => void;
}

/**
 * Carries a plan out. Every write states the version of the object that the plan rests on, so that the API server
 * refuses what was decided on something older. One that fails stops no other; the next plan makes it again.
 */
export class PlanWriter {
  readonly #parts: PlanWriterParts;
  readonly #objects: CustomObjectsApi;
  readonly #core: CoreV1Api;

  constructor(parts: PlanWriterParts) {
    this.#parts = parts;
    this.#objects = parts.kubeConfig.makeApiClient(CustomObjectsApi);
    this.#core = parts.kubeConfig.makeApiClient(CoreV1Api);
  }

  /** Returns the failures. Stops between two writes when `signal` aborts. */
  async write(plan: RolloutPlan, now: Date, signal: AbortSignal): Promise<ApiError[]> {
    const failures: ApiError[] = [];
    for (const action of plan.actions) {
      // A slot that could not be given back because its node has just reported is free for others in the next plan only.
      if (signal.aborted || failures.some((failure) => failure.status === 409)) break;
      const failure = await this.#writeState(action);
      if (failure !== undefined) failures.push(failure);
    }
    for (const step of plan.profiles.flatMap((profilePlan) => this.#profileSteps(profilePlan, now))) {
      if (signal.aborted) break;
      const failure = await step();
      if (failure !== undefined) failures.push(failure);
    }
    return failures;
  }

  /** Events first: were the status first, a process that ends between the two would never tell them. */
  #profileSteps(plan: ProfilePlan, now: Date): (() => Promise<ApiError | undefined>)[] {
    return [
      ...plan.events.map((event) => () => this.#writeEvent(plan.profile, event, now)),
      ...(plan.isChanged ? [() => this.#writeStatus(plan)] : []),
    ];
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

  async #writeState(action: StateAction): Promise<ApiError | undefined> {
    const { log, states } = this.#parts;
    const name = action.node;
    const object = `NodeProxyState ${name}`;
    if (action.kind === 'Delete') {
      return this.#attempt('delete', object, async () => {
        const uid = action.observed.metadata.uid;
        await this.#objects.deleteClusterCustomObject({ ...STATES, name, body: uid ? { preconditions: { uid } } : {} });
        states.remove(action.observed);
        log.info({ node: name }, 'removed the state of an earlier node of this name');
      });
    }
    return this.#attempt(action.kind === 'Create' ? 'create' : 'update', object, async () => {
      const request = { ...STATES, fieldManager: FIELD_MANAGER };
      const written: unknown =
        action.kind === 'Create'
          ? await this.#objects.createClusterCustomObject({ ...request, body: action.object })
          : await this.#objects.replaceClusterCustomObject({
              ...request,
              name,
              body: { ...action.observed, spec: action.spec },
            });
      states.recordWrite(written as NodeProxyState);
      const { revision, attempt, profile } = (written as NodeProxyState).spec;
      const purpose = action.kind === 'Create' ? 'Grant' : action.purpose;
      log.info(
        { node: name, purpose, revision, attempt: attempt?.id, profile: profile.name },
        'wrote the spec of a node',
      );
    });
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

import { AppsV1Api, type KubeConfig, type V1ControllerRevision } from '@kubernetes/client-node';
import { API_VERSION } from '../core/api/meta.ts';
import { renderedConfig } from '../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../core/api/proxy-profile.ts';
import type { KnownRevision } from '../core/rollout/course.ts';
import type { ApiError } from '../kube/error.ts';
import { toApiError } from './api-failure.ts';

export const PROFILE_UID_LABEL = 'switchyard.dev/profile-uid';
const REVISION_LABEL = 'switchyard.dev/revision';
/** Per profile; the target and the last completed revision stay whatever their age. */
const MAX_REVISIONS = 10;

interface Stored extends KnownRevision {
  readonly object: V1ControllerRevision;
}

function readRevision(object: V1ControllerRevision): Stored | undefined {
  const revision = object.metadata?.labels?.[REVISION_LABEL];
  const parsed = renderedConfig.safeParse(object.data);
  return revision === undefined || !parsed.success ? undefined : { revision, rendered: parsed.data, object };
}

function newRevision(
  profile: ProxyProfile,
  { revision, rendered }: KnownRevision,
  number: number,
): V1ControllerRevision {
  const { name, uid = '' } = profile.metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${name.slice(0, 200)}-${revision}-${uid.slice(0, 8)}`,
      labels: { [PROFILE_UID_LABEL]: uid, [REVISION_LABEL]: revision },
      // Written for people; a profile's name may be longer than a label.
      annotations: { 'switchyard.dev/profile': name },
      ownerReferences: [{ apiVersion: API_VERSION, kind: 'ProxyProfile', name, uid, controller: true }],
    },
    data: rendered,
    revision: number,
  };
}

/**
 * The revisions that profiles have asked for, as ControllerRevisions that go with their profile. Only the leader writes
 * them, so they are listed once. What is deleted by hand is missed only by a rollback to it.
 */
export class RevisionStore {
  readonly #api: AppsV1Api;
  readonly #namespace: string;
  /** By the UID of the profile, the newest last. */
  readonly #known = new Map<string, Stored[]>();
  #isLoaded = false;

  constructor(kubeConfig: KubeConfig, namespace: string) {
    this.#api = kubeConfig.makeApiClient(AppsV1Api);
    this.#namespace = namespace;
  }

  get histories(): ReadonlyMap<string, readonly KnownRevision[]> {
    return this.#known;
  }

  /** Lists them, the first time that it can. Returns what went wrong. */
  async load(): Promise<ApiError | undefined> {
    if (this.#isLoaded) return undefined;
    try {
      const { items } = await this.#api.listNamespacedControllerRevision({
        namespace: this.#namespace,
        labelSelector: PROFILE_UID_LABEL,
      });
      for (const object of items.toSorted((a, b) => a.revision - b.revision)) this.#keep(object);
      this.#isLoaded = true;
      return undefined;
    } catch (caught) {
      return toApiError('list', `ControllerRevisions in ${this.#namespace}`, caught);
    }
  }

  #keep(object: V1ControllerRevision): void {
    const uid = object.metadata?.labels?.[PROFILE_UID_LABEL] ?? '';
    const stored = readRevision(object);
    if (stored === undefined) return;
    const others = (this.#known.get(uid) ?? []).filter(({ revision }) => revision !== stored.revision);
    this.#known.set(uid, [...others, stored]);
  }

  /** Makes it the newest of its profile, and forgets the oldest ones. Throws ApiError. */
  async record(profile: ProxyProfile, record: KnownRevision): Promise<void> {
    const uid = profile.metadata.uid ?? '';
    const known = this.#known.get(uid) ?? [];
    const number = Math.max(0, ...known.map(({ object }) => object.revision)) + 1;
    const namespace = this.#namespace;
    const old = known.find(({ revision }) => revision === record.revision)?.object;
    const body = newRevision(profile, record, number);
    try {
      const written =
        old?.metadata?.name === undefined
          ? await this.#create(body)
          : await this.#api.replaceNamespacedControllerRevision({
              namespace,
              name: old.metadata.name,
              body: { ...old, revision: number },
            });
      this.#keep(written);
    } catch (caught) {
      throw toApiError('write', `ControllerRevision ${namespace}/${body.metadata?.name}`, caught);
    }
    await this.#prune(uid, new Set([record.revision, profile.status?.revision?.lastGood]));
  }

  /** One of that name may be there although it was not listed: it says the same, but is not the newest. */
  async #create(body: V1ControllerRevision): Promise<V1ControllerRevision> {
    const namespace = this.#namespace;
    try {
      return await this.#api.createNamespacedControllerRevision({ namespace, body });
    } catch (caught) {
      if (toApiError('create', 'ControllerRevision', caught).status !== 409) throw caught;
      const name = body.metadata?.name ?? '';
      const found = await this.#api.readNamespacedControllerRevision({ namespace, name });
      return this.#api.replaceNamespacedControllerRevision({
        namespace,
        name,
        body: { ...found, revision: body.revision },
      });
    }
  }

  async #prune(uid: string, needed: ReadonlySet<string | undefined>): Promise<void> {
    const known = this.#known.get(uid) ?? [];
    const old = known
      .filter(({ revision }) => !needed.has(revision))
      .slice(0, Math.max(0, known.length - MAX_REVISIONS));
    for (const stored of old) {
      const name = stored.object.metadata?.name ?? '';
      try {
        await this.#api.deleteNamespacedControllerRevision({ namespace: this.#namespace, name });
      } catch (caught) {
        if (toApiError('delete', name, caught).status !== 404) continue;
      }
      this.#known.set(
        uid,
        (this.#known.get(uid) ?? []).filter((each) => each !== stored),
      );
    }
  }
}

import { CustomObjectsApi, PatchStrategy, setHeaderOptions, type KubeConfig } from '@kubernetes/client-node';
import { GROUP, VERSION } from '../core/api/meta.ts';
import type { NodeProxyState } from '../core/api/node-proxy-state.ts';
import type { StateAction } from '../core/rollout/rollout.ts';
import type { Log } from '../support/log.ts';
import type { ObjectCache } from './object-cache.ts';

const STATES = { group: GROUP, version: VERSION, plural: 'nodeproxystates' } as const;

const VERBS = {
  Create: 'create',
  ReplaceSpec: 'update',
  Delete: 'delete',
  ReportLost: 'update the status of',
} as const satisfies Record<StateAction['kind'], string>;

export interface StateWriterParts {
  readonly kubeConfig: KubeConfig;
  readonly states: ObjectCache<NodeProxyState>;
  readonly log: Log;
  readonly fieldManager: string;
  readonly onGrant: (profile: string) => void;
  /** What is to be kept of an answer. */
  readonly readState: (written: NodeProxyState) => NodeProxyState;
}

/** Writes what a plan says of single nodes; every write names the version that the plan rests on. */
export class StateWriter {
  readonly #parts: StateWriterParts;
  readonly #objects: CustomObjectsApi;

  constructor(parts: StateWriterParts) {
    this.#parts = parts;
    this.#objects = parts.kubeConfig.makeApiClient(CustomObjectsApi);
  }

  static verbOf({ kind }: StateAction): string {
    return VERBS[kind];
  }

  /** Throws what the client throws. */
  async write(action: StateAction): Promise<void> {
    const { log, states } = this.#parts;
    const { node } = action;
    if (action.kind === 'Delete') {
      const uid = action.observed.metadata.uid;
      const body = uid ? { preconditions: { uid } } : {};
      await this.#objects.deleteClusterCustomObject({ ...STATES, name: node, body });
      states.remove(action.observed);
      const isReleased = action.observed.spec.action === 'Release';
      if (isReleased) log.info({ node }, 'removed the state of a node that was released');
      else log.info({ node }, 'removed the state of an earlier node of this name');
      return;
    }
    const written = (await this.#send(action)) as NodeProxyState;
    states.recordWrite(this.#parts.readState(written));
    if (action.kind === 'ReportLost') {
      log.warn({ node }, 'the agent of a node is not heard any more');
      return;
    }
    const { revision, attempt, profile } = written.spec;
    const purpose = action.kind === 'Create' ? 'Grant' : action.purpose;
    if (purpose === 'Grant') this.#parts.onGrant(profile.name);
    const fields = { node, purpose, revision, attempt: attempt?.id, profile: profile.name };
    log.info(fields, 'wrote the spec of a node');
  }

  #send(action: Exclude<StateAction, { readonly kind: 'Delete' }>): Promise<unknown> {
    const request = { ...STATES, fieldManager: this.#parts.fieldManager };
    switch (action.kind) {
      case 'Create':
        return this.#objects.createClusterCustomObject({ ...request, body: action.object });
      case 'ReplaceSpec': {
        const body = { ...action.observed, spec: action.spec };
        return this.#objects.replaceClusterCustomObject({ ...request, name: action.node, body });
      }
      case 'ReportLost': {
        // Not all of the status is at hand, so nothing but the conditions is named.
        const { resourceVersion } = action.observed.metadata;
        const body = { metadata: { resourceVersion }, status: { conditions: action.status.conditions } };
        const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
        return this.#objects.patchClusterCustomObjectStatus({ ...request, name: action.node, body }, options);
      }
    }
  }
}

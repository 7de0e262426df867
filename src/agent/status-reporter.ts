import { API_VERSION } from '../core/api/meta.ts';
import type { NodeProxyState, NodeProxyStateStatus } from '../core/api/node-proxy-state.ts';
import { canonicalJson } from '../core/revision.ts';
import { AGENT_LOST } from '../core/node/agent-lease.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { RetriedWrite } from './retried-write.ts';

const FIELD_MANAGER = 'switchyard-agent';

export interface ReporterParts {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The status to write for this state, made anew for each try so that the newest facts go out. */
  readonly compose: (
    state: NodeProxyState,
    previous: NodeProxyStateStatus | undefined,
  ) => NodeProxyStateStatus | undefined;
  /** The API server took `status` in the place of `previous`. */
  readonly onWritten: (
    state: NodeProxyState,
    previous: NodeProxyStateStatus | undefined,
    status: NodeProxyStateStatus,
  ) => void;
}

/** The controller has not heard of this agent for a while, and wrote so into its status. */
function isSaidLost(state: NodeProxyState | undefined): boolean {
  return state?.status?.conditions?.some(({ type, reason }) => type === 'Ready' && reason === AGENT_LOST) === true;
}

/** Writes the node's status: only what changed. */
export class StatusReporter {
  readonly #parts: ReporterParts;
  readonly #write: RetriedWrite;
  #state: NodeProxyState | undefined;
  #written: NodeProxyStateStatus | undefined;

  constructor(parts: ReporterParts) {
    this.#parts = parts;
    this.#write = new RetriedWrite({ ...parts, what: 'the status of this node', write: () => this.#apply() });
  }

  setState(state: NodeProxyState | undefined): void {
    const isOther = state?.metadata.uid !== this.#state?.metadata.uid;
    if (isOther || isSaidLost(state)) this.#written = undefined;
    this.#state = state;
    this.request();
  }

  /** The facts may have changed. */
  request(): void {
    this.#write.request();
  }

  /** The API server answers again. */
  hurry(): void {
    this.#write.hurry();
  }

  async #apply(): Promise<void> {
    const state = this.#state;
    if (state === undefined) return;
    const previous = this.#written ?? state.status;
    const status = this.#parts.compose(state, previous);
    if (status === undefined || (previous !== undefined && canonicalJson(status) === canonicalJson(previous))) return;
    const { name } = state.metadata;
    const body = { apiVersion: API_VERSION, kind: 'NodeProxyState', metadata: { name }, status };
    await this.#parts.client.apply(
      `/apis/${API_VERSION}/nodeproxystates/${name}/status`,
      body,
      FIELD_MANAGER,
      this.#parts.signal,
    );
    this.#written = status;
    this.#parts.onWritten(state, previous, status);
  }
}

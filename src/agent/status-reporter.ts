import { API_VERSION } from '../core/api/meta.ts';
import type { NodeProxyState, NodeProxyStateStatus } from '../core/api/node-proxy-state.ts';
import { canonicalJson } from '../core/revision.ts';
import { AGENT_LOST } from '../core/node/agent-lease.ts';
import type { KubeClient } from '../kube/client.ts';
import { isApiStatus } from '../kube/error.ts';
import { Backoff } from '../support/backoff.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';

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

/** Writes the node's status: only what changed, one request at a time, again after a failure. */
export class StatusReporter {
  readonly #parts: ReporterParts;
  readonly #backoff = new Backoff({ firstMs: 500, maxMs: 30_000 });
  #state: NodeProxyState | undefined;
  #written: NodeProxyStateStatus | undefined;
  #isWanted = false;
  #pause = new AbortController();
  #isBusy = false;

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  setState(state: NodeProxyState | undefined): void {
    const isOther = state?.metadata.uid !== this.#state?.metadata.uid;
    if (isOther || isSaidLost(state)) this.#written = undefined;
    this.#state = state;
    this.request();
  }

  /** The facts may have changed. */
  request(): void {
    this.#isWanted = true;
    if (!this.#isBusy) void this.#work();
  }

  /** The API server answers again: what could not be written is tried now. */
  hurry(): void {
    this.#pause.abort();
    this.#pause = new AbortController();
  }

  async #work(): Promise<void> {
    const { clock, log, signal } = this.#parts;
    this.#isBusy = true;
    while (this.#isWanted && !signal.aborted) {
      this.#isWanted = false;
      try {
        await this.#write();
        this.#backoff.reset();
      } catch (error) {
        // Without the object there is nothing to report to; its next version asks again.
        if (isApiStatus(error, 404) || signal.aborted) continue;
        log.warn({ problem: (error as Error).message }, 'cannot write the status of this node; trying again');
        this.#isWanted = true;
        await clock.sleep(this.#backoff.nextMs(), AbortSignal.any([signal, this.#pause.signal]));
      }
    }
    this.#isBusy = false;
  }

  async #write(): Promise<void> {
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

import type { NodeProxyState } from '../../src/core/api/node-proxy-state.ts';
import { API_VERSION } from '../../src/core/api/meta.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { Complaints } from '../../src/kube/complaints.ts';
import { parseKubeConfig } from '../../src/kube/kubeconfig.ts';
import { runListWatch } from '../../src/kube/list-watch.ts';
import type { EmbeddedApiServer } from '../../src/sandbox/apiserver/api-server.ts';
import { systemClock } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';

const OVER = ['Committed', 'RolledBack', 'Failed'];

/** Somebody who only reads the API: after every change of a NodeProxyState, how many nodes are under way together. */
export class BudgetWatcher {
  readonly #states = new Map<string, NodeProxyState>();
  readonly #client: KubeClient;
  readonly #stop = new AbortController();
  readonly violations: string[] = [];
  mostUnderWay = 0;
  changes = 0;

  /** `allowed` says how many may be under way now. */
  constructor(server: EmbeddedApiServer, allowed: () => number) {
    this.#client = new KubeClient(parseKubeConfig(server.kubeconfig(), '/'));
    const look = () => this.#look(allowed());
    void runListWatch<NodeProxyState>({
      client: this.#client,
      path: `/apis/${API_VERSION}/nodeproxystates`,
      selectors: {},
      handler: {
        replace: (states) => {
          this.#states.clear();
          for (const state of states) this.#states.set(state.metadata.name, state);
          look();
        },
        upsert: (state) => {
          this.#states.set(state.metadata.name, state);
          look();
        },
        remove: ({ metadata }) => {
          this.#states.delete(metadata.name);
          look();
        },
      },
      clock: systemClock,
      complaints: new Complaints({ server: server.url, log: silentLog, clock: systemClock }),
      signal: this.#stop.signal,
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#client.close();
  }

  #look(allowed: number): void {
    this.changes += 1;
    const underWay = [...this.#states.values()].filter(isUnderWay).map(({ metadata }) => metadata.name);
    this.mostUnderWay = Math.max(this.mostUnderWay, underWay.length);
    if (underWay.length > allowed) this.violations.push(`${underWay.join(', ')} at a maximum of ${allowed}`);
  }
}

/** Granted, and its agent has not said that it is over. */
function isUnderWay({ spec: { attempt }, status }: NodeProxyState): boolean {
  if (attempt === undefined) return false;
  return status?.attempt?.id !== attempt.id || !OVER.includes(status.attempt.phase);
}

import type { KubeConfig } from '@kubernetes/client-node';
import { nodeOfLease } from '../core/node/agent-lease.ts';
import type { Clock } from '../support/clock.ts';
import type { FailureLog } from './api-failure.ts';
import { HeartbeatLedger } from './heartbeat-ledger.ts';
import { ObjectCache, type CachedObject } from './object-cache.ts';
import { ResourceRequests } from './resource-requests.ts';
import { runResourceWatch } from './resource-watch.ts';

interface AgentLease extends CachedObject {
  /** Undefined where it is not of an agent. */
  readonly node: string | undefined;
  readonly renewal: string;
}

interface RawLease extends CachedObject {
  readonly spec?: { readonly renewTime?: string; readonly holderIdentity?: string };
}

/** Of a Lease that changes every half minute on every node, nothing else is worth keeping. */
function readLease(raw: unknown): AgentLease {
  const { metadata, spec } = raw as RawLease;
  const { name, uid, resourceVersion } = metadata;
  const kept = {
    name,
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  const node = nodeOfLease(name, spec?.holderIdentity);
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: kept, node, renewal: spec?.renewTime ?? '' };
}

export interface AgentLeasesParts {
  readonly kubeConfig: KubeConfig;
  readonly namespace: string;
  readonly clock: Clock;
  readonly failures: FailureLog;
  readonly onListed: () => void;
}

/** Listens to the Leases of the agents. Without the right to, or while nothing is heard, no agent counts as lost. */
export class AgentLeases {
  readonly #parts: AgentLeasesParts;
  readonly #ledger = new HeartbeatLedger();

  constructor(parts: AgentLeasesParts) {
    this.#parts = parts;
  }

  /** Resolves when `signal` aborts. */
  run(signal: AbortSignal): Promise<void> {
    const { kubeConfig, namespace, clock, ...parts } = this.#parts;
    const options = {
      ...parts,
      requests: new ResourceRequests(kubeConfig),
      clock,
      id: `leases in ${namespace}`,
      path: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`,
      read: readLease,
      cache: new ObjectCache<AgentLease>(),
      onEvent: (phase: string, { node, renewal }: AgentLease) => {
        if (node === undefined) return;
        if (phase === 'DELETED') this.#ledger.forget(node);
        else this.#ledger.hear(node, renewal, clock.monotonicMs());
      },
      onSign: () => this.#ledger.sign(clock.monotonicMs()),
    };
    return runResourceWatch<AgentLease>(options, signal);
  }

  lost(): ReadonlySet<string> {
    return this.#ledger.lost(this.#parts.clock.monotonicMs());
  }

  /** A write had no answer, or the server failed. */
  doubt(): void {
    this.#ledger.doubt(this.#parts.clock.monotonicMs());
  }

  nextLossInMs(): number {
    return this.#ledger.nextLossInMs(this.#parts.clock.monotonicMs());
  }
}

import { AGENT_LEASE_MS, AGENT_RENEW_MS, agentLeaseName } from '../core/agent-lease.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';

const FIELD_MANAGER = 'switchyard-agent';

export interface HeartbeatParts {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly nodeName: string;
  readonly namespace: string;
  /** Undefined while the Node has not been seen. */
  readonly nodeUID: () => string | undefined;
}

/** The Lease goes with its Node, once that is known. */
function leaseOf({ nodeName, nodeUID, clock }: HeartbeatParts, name: string) {
  const uid = nodeUID();
  const owner = uid === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid }] };
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, ...owner },
    spec: {
      holderIdentity: nodeName,
      leaseDurationSeconds: AGENT_LEASE_MS / 1_000,
      // metav1.MicroTime
      renewTime: new Date(clock.now()).toISOString().replace('Z', '000Z'),
    },
  };
}

/**
 * Renews this agent's Lease until the signal aborts, so that the controller notices when it ends without a word; a status
 * that is written again and again would wake everybody who watches it. Nothing here depends on whether it works.
 */
export async function keepHeartbeat(parts: HeartbeatParts): Promise<void> {
  const { client, clock, log, signal, namespace, nodeName } = parts;
  const name = agentLeaseName(nodeName);
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
  let hasFailed = false;
  while (!signal.aborted) {
    try {
      await client.apply(path, leaseOf(parts, name), FIELD_MANAGER, signal);
      hasFailed = false;
    } catch (error) {
      if (!hasFailed && !signal.aborted) {
        const problem = (error as Error).message;
        log.warn({ problem, lease: `${namespace}/${name}` }, 'cannot renew the Lease of this agent; trying again');
      }
      hasFailed = true;
    }
    // Agents that were started together drift apart, so that their writes do not come in waves.
    await clock.sleep(AGENT_RENEW_MS * (0.8 + Math.random() * 0.2), signal);
  }
}

import { AGENT_LEASE_MS, AGENT_RENEW_MS, agentLeaseName } from '../core/node/agent-lease.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';

const FIELD_MANAGER = 'switchyard-agent';
/** How often it looks whether the Node is known by now. */
const FIRST_MS = 1_000;

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

/** It goes with its Node. */
function leaseOf({ nodeName, clock }: HeartbeatParts, name: string, uid: string) {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid }] },
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
    const uid = parts.nodeUID();
    // Some clusters let only those change the owner of an object later who may delete it.
    if (uid === undefined) {
      await clock.sleep(FIRST_MS, signal);
      continue;
    }
    try {
      await client.apply(path, leaseOf(parts, name, uid), FIELD_MANAGER, signal);
      hasFailed = false;
    } catch (error) {
      if (!hasFailed && !signal.aborted) {
        const problem = (error as Error).message;
        log.warn({ problem, lease: `${namespace}/${name}` }, 'cannot renew the Lease of this agent; trying again');
      }
      // oxlint-disable-next-line no-useless-assignment -- the next round reads it
      hasFailed = true;
    }
    // Agents that were started together drift apart, so that their writes do not come in waves.
    await clock.sleep(AGENT_RENEW_MS * (0.8 + Math.random() * 0.2), signal);
  }
}

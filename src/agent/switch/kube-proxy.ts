import type { AffinityEntry, AffinityMemory } from '../../core/service/affinity.ts';
import { isGone, isServingKubeProxy, type KubeProxySighting } from '../../core/kube-proxy/kube-proxy.ts';
import type { OtherProxy } from '../../core/node/preflight.ts';
import type { ServicePorts, Snapshot } from '../../core/service/snapshot.ts';
import type { AffinityImport } from '../../kernel/dataplane.ts';
import { exportKubeProxyAffinity, importKubeProxyAffinity } from '../../kernel/kube-proxy/affinity.ts';
import { HEALTHZ_PORT, sightKubeProxy } from '../../kernel/kube-proxy/process.ts';
import { removeKubeProxy, type RemovalReport, type Successor } from '../../kernel/kube-proxy/removal.ts';
import { missingInKubeProxy } from '../../kernel/kube-proxy/service-rules.ts';
import { findOtherProxy } from '../../kernel/other-proxy.ts';
import { get } from '../../support/http.ts';

/** kube-proxy on this node, as far as the agent deals with it. */
export interface KubeProxyOnNode {
  /** Undefined when it does not run with rules of its own. */
  findServing(): Promise<OtherProxy | undefined>;
  /** A cheap look. */
  sight(): KubeProxySighting;
  /** What keeps it from serving these Services, for people; null when it serves them all. Throws KernelError. */
  lacks(servicePorts: ServicePorts): Promise<string | null>;
  /** The clients with session affinity that it remembers. Throws KernelError. */
  exportAffinity(snapshot: Snapshot): Promise<AffinityMemory>;
  /** Makes its rules remember these, too. Throws KernelError. */
  importAffinity(snapshot: Snapshot, entries: readonly AffinityEntry[]): Promise<AffinityImport>;
  /** Removes what it made, beside the rules of `serving`. Throws KernelError; again is the same. */
  remove(serving: Successor): Promise<RemovalReport>;
}

const HEALTHZ_TIMEOUT_MS = 1_000;
const SHOWN = 3;

/** The kube-proxy of this process's network namespace. */
export function kubeProxyOnNode(hasNftables: () => boolean): KubeProxyOnNode {
  const sight = () => {
    const { hasProcess, listeners } = sightKubeProxy();
    return { hasProcess, listens: listeners.length > 0 };
  };
  return {
    sight,
    async findServing() {
      const found = await findOtherProxy({ hasNftables: hasNftables() });
      return isServingKubeProxy(found) ? found : undefined;
    },
    async lacks(servicePorts) {
      if (isGone(sight())) return 'it does not run';
      const missing = await missingInKubeProxy(servicePorts, hasNftables());
      if (missing.length > 0) {
        const more = missing.length > SHOWN ? ` and ${missing.length - SHOWN} more` : '';
        return `it has no rules yet for ${missing.slice(0, SHOWN).join(', ')}${more}`;
      }
      return (await isHealthy()) ? null : 'its health port does not say that it is healthy';
    },
    exportAffinity: (snapshot) => exportKubeProxyAffinity(snapshot, hasNftables()),
    importAffinity: (snapshot, entries) => importKubeProxyAffinity(snapshot, entries, hasNftables()),
    remove: (serving) => removeKubeProxy(serving, hasNftables()),
  };
}

/** With its health port turned off nobody can say more than its rules do. */
async function isHealthy(): Promise<boolean> {
  const listener = sightKubeProxy().listeners.find(({ port }) => port === HEALTHZ_PORT);
  if (listener === undefined) return true;
  const { address } = listener;
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  // A node that is about to be removed is not eligible for traffic from outside, which says nothing about the rules.
  return (await answers(host, '/livez')) || (await answers(host, '/healthz'));
}

function answers(host: string, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host, port: HEALTHZ_PORT, path, timeout: HEALTHZ_TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
  });
}

import type { Evidence, EvidenceNode, EvidenceService } from '../../../src/core/diagnose/evidence.ts';
import type { Pod } from '../../../src/core/pod.ts';
import type { NodeReport } from '../../../src/core/diagnose/node-report.ts';
import { proxyProfileSpec, type ProxyProfile } from '../../../src/core/api/proxy-profile.ts';
import type { NodeProxyState } from '../../../src/core/api/node-proxy-state.ts';
import { renderProfile, revisionOf } from '../../../src/core/revision.ts';

export const NOW_MS = Date.parse('2030-01-01T12:00:00Z');
const AT = '2030-01-01T10:00:00Z';
const NODES = ['n1', 'n2', 'n3'];

type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
/** Evidence that a fault may change at will. */
export type Scene = Mutable<Omit<Evidence, 'reports'>> & { reports: Map<string, Mutable<NodeReport>> };

const condition = (type: string, status: string, reason: string, message = reason) => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: AT,
});

function pod(name: string, node: string, address: string): Pod {
  return {
    metadata: { name, namespace: 'shop', labels: { app: 'web', tier: 'front' } },
    spec: {
      nodeName: node,
      containers: [{ name: 'web', ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }] }],
    },
    status: {
      phase: 'Running',
      podIP: address,
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ name: 'web', ready: true, restartCount: 0, state: {} }],
    },
  };
}

const WEB: EvidenceService = {
  metadata: { name: 'web', namespace: 'shop', creationTimestamp: AT },
  spec: {
    type: 'NodePort',
    clusterIP: '10.96.0.80',
    selector: { app: 'web' },
    ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 'http', nodePort: 30080 }],
  },
};

function profile(): ProxyProfile {
  const spec = proxyProfileSpec.parse({ mode: 'nftables' });
  const target = revisionOf(renderProfile(spec));
  return {
    apiVersion: 'switchyard.dev/v1alpha1',
    kind: 'ProxyProfile',
    metadata: { name: 'fleet', uid: 'u', generation: 1 },
    spec,
    status: {
      observedGeneration: 1,
      revision: { target, lastGood: target },
      rollout: { step: 'Done', startedAt: AT },
      nodes: {
        matched: 3,
        updated: 3,
        ready: 3,
        inProgress: 0,
        failed: 0,
        rolledBack: 0,
        waiting: 0,
        blocked: 0,
        skipped: 0,
        agentMissing: 0,
        conflicted: 0,
      },
      conditions: [
        condition('Accepted', 'True', 'Valid'),
        condition('Progressing', 'False', 'Complete'),
        condition('Available', 'True', 'AllNodesReady'),
        condition('Degraded', 'False', 'AsExpected'),
        condition('Paused', 'False', 'Running'),
      ],
    },
  } as unknown as ProxyProfile;
}

function state(name: string, { spec }: ProxyProfile): NodeProxyState {
  const rendered = renderProfile(spec);
  const revision = revisionOf(rendered);
  return {
    apiVersion: 'switchyard.dev/v1alpha1',
    kind: 'NodeProxyState',
    metadata: { name, generation: 1 },
    spec: { nodeName: name, nodeUID: name, profile: { name: 'fleet', uid: 'u', generation: 1 }, revision, rendered },
    status: {
      observedGeneration: 1,
      current: { revision, mode: 'nftables', since: AT },
      probes: [{ name: 'ClusterDNS', result: 'Pass', at: AT }],
      sysctls: [{ name: 'net.ipv4.ip_forward', desired: '1', compare: 'Equal', actual: '1', drifts: 0 }],
      conntrack: { max: 131072, buckets: 131072, memoryBytes: 1 },
      conditions: [
        condition('PreflightPassed', 'True', 'Supported'),
        condition('Applied', 'True', 'RevisionApplied'),
        condition('DataplaneSynced', 'True', 'InSync'),
        condition('RolledBack', 'False', 'NotRolledBack'),
        condition('Drifted', 'False', 'NoDrift'),
        condition('ConntrackHealthy', 'True', 'TableHasRoom'),
        condition('StateKept', 'True', 'Kept'),
        condition('Ready', 'True', 'Ready'),
      ],
    },
  } as unknown as NodeProxyState;
}

function report(node: string): NodeReport {
  return {
    node,
    takenAt: AT,
    agent: '0.1.0',
    kernel: '6.12',
    mode: 'nftables',
    differences: [],
    waitingMs: null,
    syncError: null,
    servicePorts: 1,
    conntrack: {
      entries: 1000,
      max: 131072,
      dropped: 0,
      earlyDropped: 0,
      insertFailed: 0,
      invalid: 3,
      closeWait: 5,
      unrepliedUdp: 20,
    },
    sysctls: {
      'net.ipv4.ip_forward': '1',
      'net.ipv4.conf.all.rp_filter': '1',
      'net.ipv4.conf.all.arp_ignore': '0',
      'net.ipv4.conf.all.arp_announce': '0',
      'net.ipv4.ip_local_port_range': '32768\t60999',
    },
    firewall: { dropPolicies: [], dropRules: [], otherTables: ['ip filter'], iptables: { legacy: 0, nft: 12 } },
    listeners: [{ protocol: 'tcp', address: '0.0.0.0', port: 10256 }],
    interfaces: [
      { name: 'eth0', mtu: 1500, addresses: ['172.18.0.11'] },
      { name: 'flannel.1', mtu: 1450, addresses: ['10.244.1.0'] },
    ],
    sockets: { closeWait: 0, timeWait: 100, inUse: 50 },
    problems: [],
  };
}

function node(name: string): EvidenceNode {
  return {
    metadata: {
      name,
      labels: { 'kubernetes.io/os': 'linux', 'topology.kubernetes.io/zone': name === 'n3' ? 'b' : 'a' },
    },
    status: {
      addresses: [{ type: 'InternalIP', address: `172.18.0.1${name.slice(1)}` }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

/** A cluster with nothing wrong: three nodes, one profile, one Service with a pod on each node. */
export function healthy(): Scene {
  const pods = NODES.map((name, index) => pod(`web-${index}`, name, `10.244.${index + 1}.2`));
  const fleet = profile();
  return structuredClone({
    nowMs: NOW_MS,
    services: [
      WEB,
      {
        metadata: { name: 'kubernetes', namespace: 'default' },
        spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443 }] },
      },
      {
        metadata: { name: 'db', namespace: 'shop' },
        spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 5432 }] },
      },
      { metadata: { name: 'mail', namespace: 'shop' }, spec: { type: 'ExternalName' } },
    ],
    endpointSlices: [
      {
        metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
        addressType: 'IPv4',
        endpoints: pods.map(({ status, spec }) => ({
          addresses: [status?.podIP ?? ''],
          nodeName: spec?.nodeName ?? null,
          conditions: { ready: true, serving: true, terminating: false },
        })),
        ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
      },
    ],
    serviceCIDRs: ['10.96.0.0/16'],
    pods,
    nodes: NODES.map(node),
    profiles: [fleet],
    states: NODES.map((name) => state(name, fleet)),
    leases: NODES.map((name) => ({ node: name, renewedAtMs: NOW_MS - 20_000, durationMs: 120_000 })),
    reports: new Map(NODES.map((name) => [name, report(name)])),
  }) as unknown as Scene;
}

/** Changes one condition of a profile or state. */
export function setCondition(
  object: { readonly status?: unknown },
  ...[type, status, reason, message]: [string, string, string, string?]
): void {
  const conditions = (object.status as { conditions: unknown[] }).conditions;
  const at = conditions.findIndex((each) => (each as { type: string }).type === type);
  conditions.splice(
    at < 0 ? conditions.length : at,
    at < 0 ? 0 : 1,
    condition(type, status, reason, message ?? `because of ${reason}`),
  );
}

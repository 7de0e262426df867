import assert from 'node:assert/strict';
import type { EndpointSlice, Service } from '../../src/core/kubernetes.ts';
import { ServiceTable } from '../../src/core/service/service-table.ts';
import type { DataplaneOptions, ServicePortChange, Snapshot } from '../../src/core/service/snapshot.ts';
import { createIptablesDataplane } from '../../src/kernel/dataplane-iptables.ts';
import type { Dataplane, SyncReport } from '../../src/kernel/dataplane.ts';
import type { Flavour } from '../../src/kernel/iptables/tool.ts';
import { NETWORK, Testbed, type Host, type Node } from '../../src/sandbox/net/testbed.ts';
import { probe, TrafficServer, type ProbeResult } from '../../src/sandbox/traffic/traffic.ts';

export const BACKEND_PORT = 8080;

/** Two nodes with two pods each and an outside client. Every pod serves TCP and UDP on `BACKEND_PORT`. */
export async function createTestbed(): Promise<Testbed> {
  const testbed = await Testbed.create({
    nodes: [
      { name: 'n1', pods: 2 },
      { name: 'n2', pods: 2 },
    ],
    outside: true,
  });
  try {
    await Promise.all(
      testbed.pods.map((pod) =>
        TrafficServer.start(testbed, pod, [
          { protocol: 'TCP', port: BACKEND_PORT },
          { protocol: 'UDP', port: BACKEND_PORT },
        ]),
      ),
    );
    const n1 = testbed.node('n1');
    await testbed.route(testbed.outside, NETWORK.serviceCidr, n1);
    await testbed.route(testbed.outside, NETWORK.serviceCidr6, n1);
    await testbed.route(testbed.outside, VIPS, n1);
    return testbed;
  } catch (error) {
    await testbed.destroy();
    throw error;
  }
}

/** Load balancer VIPs and external IPs of the tests; outside routes them to n1. */
export const VIPS = '192.0.2.0/24';

export function dataplaneOptions(overrides: Partial<DataplaneOptions> = {}): DataplaneOptions {
  return {
    families: ['IPv4', 'IPv6'],
    localDetector: { kind: 'cidr', cidrs: [NETWORK.podCidr, NETWORK.podCidr6] },
    masqueradeAll: false,
    masqueradeBit: 14,
    nodePortAddresses: 'all',
    localhostNodePorts: false,
    serviceCIDRs: [],
    ...overrides,
  };
}

type Spec = NonNullable<Service['spec']>;

/** A dual-stack Service `test/NAME` with TCP and UDP on port 80. */
export function service(
  name: string,
  clusterIPs: readonly string[],
  spec: Spec = {},
  vips: readonly string[] = [],
): Service {
  return {
    metadata: { namespace: 'test', name },
    spec: {
      clusterIP: clusterIPs[0] ?? 'None',
      clusterIPs,
      ports: [
        { name: 'tcp', protocol: 'TCP', port: 80 },
        { name: 'udp', protocol: 'UDP', port: 80 },
      ],
      ...spec,
    },
    status: { loadBalancer: { ingress: vips.map((ip) => ({ ip })) } },
  };
}

/** NodePorts for both ports of `service`. */
export function nodePorts(nodePort: number): Spec {
  return {
    type: 'NodePort',
    ports: [
      { name: 'tcp', protocol: 'TCP', port: 80, nodePort },
      { name: 'udp', protocol: 'UDP', port: 80, nodePort },
    ],
  };
}

const LEAVING = { ready: false, serving: true, terminating: true };

/** The slices, one per family, that make `pods` the ready endpoints of Service `test/NAME`; `leaving` are on their way out. */
export function slices(name: string, pods: readonly Host[], leaving: readonly Host[] = []): readonly EndpointSlice[] {
  return (['IPv4', 'IPv6'] as const).map((addressType) => ({
    metadata: { namespace: 'test', name: `${name}-${addressType}`, labels: { 'kubernetes.io/service-name': name } },
    addressType,
    ports: [
      { name: 'tcp', protocol: 'TCP', port: BACKEND_PORT },
      { name: 'udp', protocol: 'UDP', port: BACKEND_PORT },
      { name: 'sctp', protocol: 'SCTP', port: BACKEND_PORT },
    ],
    endpoints: [...pods, ...leaving].map((pod) => ({
      addresses: [addressType === 'IPv4' ? pod.address : pod.address6],
      nodeName: pod.name.replace(/-p\d+$/, ''),
      ...(leaving.includes(pod) ? { conditions: LEAVING } : {}),
    })),
  }));
}

export type Target = readonly [address: string, port: number];

/** Node n1's data plane and the objects it was told of. */
export class NodeUnderTest {
  readonly table: ServiceTable;
  readonly dataplane: Dataplane;
  readonly #testbed: Testbed;
  readonly node: Node;

  constructor(testbed: Testbed, flavour: Flavour, options = dataplaneOptions()) {
    this.#testbed = testbed;
    this.node = testbed.node('n1');
    this.table = new ServiceTable({ nodeName: 'n1', dataplane: options });
    this.dataplane = createIptablesDataplane({ netns: this.node.netnsPath, flavour });
  }

  put(...objects: readonly (Service | readonly EndpointSlice[])[]): this {
    for (const object of objects) {
      if (isService(object)) this.table.upsertService(object);
      else for (const slice of object) this.table.upsertEndpointSlice(slice);
    }
    return this;
  }

  get snapshot(): Snapshot {
    return this.table.take().snapshot;
  }

  take(): { snapshot: Snapshot; changes: readonly ServicePortChange[] } {
    return this.table.take();
  }

  /** Brings the kernel to the objects and checks that it says so. */
  async sync(): Promise<void> {
    const { snapshot } = this.take();
    await this.dataplane.sync(snapshot);
    assert.deepEqual(await this.dataplane.verify(snapshot), []);
  }

  /** Brings only the changes since the last `sync` or `update` to the kernel and checks that nothing else was needed. */
  async update(): Promise<{ written: number; removed: number }> {
    const { snapshot, changes } = this.take();
    const report = await this.dataplane.update(snapshot, changes);
    assert.deepEqual(await this.dataplane.verify(snapshot), []);
    return report;
  }

  /** `count` new connections or exchanges to `address` and `port`. */
  probe(from: Host, protocol: 'TCP' | 'UDP', [address, port]: Target, count = 1): Promise<ProbeResult> {
    return probe(this.#testbed, from, { protocol, address, port, count });
  }

  /** Runs a command inside the node and returns its output. */
  async run(...argv: readonly string[]): Promise<string> {
    return (await this.#testbed.exec(this.node, argv)).stdout;
  }
}

/** The kernel was found as it is to be. */
export function assertNothingWritten({ written, removed }: SyncReport): void {
  assert.deepEqual({ written, removed }, { written: 0, removed: 0 });
}

function isService(object: Service | readonly EndpointSlice[]): object is Service {
  return !Array.isArray(object);
}

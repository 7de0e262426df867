import fc from 'fast-check';
import type { EndpointSlice, Service } from '../../src/core/kubernetes.ts';
import type { Family } from '../../src/core/ip.ts';
import { ServiceTable } from '../../src/core/service/service-table.ts';
import { PROTOCOLS, type DataplaneOptions, type Snapshot } from '../../src/core/service/snapshot.ts';
import type { NodeFacts, Packet } from '../../src/plan/trace/packet.ts';

/** A node, its Services and packets that come by. */
export interface World {
  readonly snapshot: Snapshot;
  readonly facts: NodeFacts;
  readonly packets: readonly Packet[];
}

/** Addresses by family; `pod` and `far` are endpoints of this node and of another. */
const ADDRESSES = {
  IPv4: {
    node: ['192.168.0.2', '192.168.1.2'],
    pods: ['10.180.1.1', '10.180.1.2', '10.180.1.3'],
    far: ['10.180.2.1', '10.180.2.2'],
    client: '10.180.1.9',
    outside: ['203.0.113.2', '203.0.113.130'],
    services: (number: number) => `172.30.0.${10 + number}`,
    vips: (number: number) => `1.2.3.${10 + number}`,
    ranges: ['203.0.113.0/25', '192.168.0.0/24', '203.0.113.128/26'],
    clusterCidr: '10.180.0.0/16',
    nodeCidr: '10.180.1.0/24',
    loopback: '127.0.0.1',
  },
  IPv6: {
    node: ['fd00:c0::2', 'fd00:c1::2'],
    pods: ['fd00:10:180:1::1', 'fd00:10:180:1::2', 'fd00:10:180:1::3'],
    far: ['fd00:10:180:2::1', 'fd00:10:180:2::2'],
    client: 'fd00:10:180:1::9',
    outside: ['2600:5200::1', '2600:5200:8000::1'],
    services: (number: number) => `fd00:172:30::${10 + number}`,
    vips: (number: number) => `fd00:1:2:3::${10 + number}`,
    ranges: ['2600:5200::/33', 'fd00:c0::/64', '2600:5200:8000::/34'],
    clusterCidr: 'fd00:10:180::/48',
    nodeCidr: 'fd00:10:180:1::/64',
    loopback: '::1',
  },
} as const;
const SELF = 'self';

const endpoint = (family: Family) =>
  fc
    .record({
      address: fc.constantFrom(...ADDRESSES[family].pods, ...ADDRESSES[family].far, ADDRESSES[family].node[0]),
      conditions: fc.record({
        ready: fc.constantFrom(true, true, false, undefined),
        serving: fc.constantFrom(true, false, undefined),
        terminating: fc.constantFrom(false, false, true, undefined),
      }),
      zone: fc.constantFrom('a', 'b', undefined),
      node: fc.constantFrom(SELF, 'other', undefined),
    })
    .map(({ address, conditions, zone, node }) => ({
      addresses: [address],
      nodeName: (ADDRESSES[family].far as readonly string[]).includes(address) ? 'other' : SELF,
      conditions,
      hints: {
        forZones: zone === undefined ? [] : [{ name: zone }],
        forNodes: node === undefined ? [] : [{ name: node }],
      },
    }));

const slice = (family: Family, number: number): fc.Arbitrary<EndpointSlice> =>
  fc
    .record({
      endpoints: fc.uniqueArray(endpoint(family), { maxLength: 4, selector: ({ addresses }) => addresses[0] }),
      port: fc.constantFrom(8080, 9090),
    })
    .map(({ endpoints, port }) => ({
      metadata: {
        namespace: 'ns',
        name: `s${number}-${family}`,
        labels: { 'kubernetes.io/service-name': `s${number}` },
      },
      addressType: family,
      endpoints,
      ports: PROTOCOLS.map((protocol) => ({ name: 'p', protocol, port })),
    }));

const SHARED_NODE_PORT = 30_001;

/** One of its own, or what somebody else has as well. */
function externalIP(what: string, family: Family, number: number): string {
  const { node, services, vips } = ADDRESSES[family];
  switch (what) {
    case 'node':
      return node[0];
    case 'VIP of the first':
      return vips(0);
    case 'cluster IP of the first':
      return services(0);
    default:
      return vips(number * 10 + 5);
  }
}

const service = (number: number): fc.Arbitrary<Service> =>
  fc
    .record({
      protocols: fc.subarray([...PROTOCOLS], { minLength: 1 }),
      nodePort: fc.constantFrom(0, 30_000 + number, SHARED_NODE_PORT),
      vips: fc.integer({ min: 0, max: 2 }),
      external: fc.constantFrom('none', 'own', 'node', 'VIP of the first', 'cluster IP of the first'),
      ranges: fc.subarray([...ADDRESSES.IPv4.ranges, ...ADDRESSES.IPv6.ranges]),
      internalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
      externalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
      sessionAffinity: fc.constantFrom('None', 'ClientIP'),
    })
    .map(({ protocols, nodePort, vips, external, ranges, ...policies }) => {
      const families = ['IPv4', 'IPv6'] as const;
      const each = (of: (family: Family) => string): string[] => families.map(of);
      const ingress = Array.from({ length: vips }, (_, index) =>
        each((family) => ADDRESSES[family].vips(number * 10 + index)).map((ip) => ({ ip })),
      ).flat();
      return {
        metadata: { namespace: 'ns', name: `s${number}` },
        spec: {
          type: 'LoadBalancer',
          clusterIPs: each((family) => ADDRESSES[family].services(number)),
          ports: protocols.map((protocol) => ({
            name: 'p',
            protocol,
            port: 80,
            nodePort,
          })),
          externalIPs: external === 'none' ? [] : each((family) => externalIP(external, family, number)),
          loadBalancerSourceRanges: ranges,
          ...policies,
        },
        status: { loadBalancer: { ingress } },
      };
    });

const detector: fc.Arbitrary<DataplaneOptions['localDetector']> = fc.constantFrom(
  { kind: 'none' },
  { kind: 'cidr', cidrs: [ADDRESSES.IPv4.clusterCidr, ADDRESSES.IPv6.clusterCidr] },
  { kind: 'cidr', cidrs: [ADDRESSES.IPv4.nodeCidr] },
  { kind: 'interface', name: 'cni0' },
  { kind: 'interfacePrefix', prefix: 'cni' },
);

const options: fc.Arbitrary<DataplaneOptions> = fc.record({
  families: fc.constantFrom<Family[]>(['IPv4', 'IPv6'], ['IPv4', 'IPv6'], ['IPv4'], ['IPv6']),
  localDetector: detector,
  masqueradeAll: fc.boolean(),
  masqueradeBit: fc.constantFrom(14, 0, 31),
  localhostNodePorts: fc.boolean(),
  serviceCIDRs: fc.constant([]),
  nodePortAddresses: fc.constantFrom<DataplaneOptions['nodePortAddresses']>(
    'all',
    [ADDRESSES.IPv4.node[0], ADDRESSES.IPv6.node[0]],
    [ADDRESSES.IPv4.node[1], ADDRESSES.IPv4.loopback],
    [],
  ),
});

/**
 * Who may send: this node (from the address it has for the destination), its pods, other pods, outside. Pods of other
 * nodes reach ClusterIPs by the rules of their own node.
 */
function senders(
  family: Family,
  destination: string,
  { isOnNode, isClusterIP }: { readonly isOnNode: boolean; readonly isClusterIP: boolean },
): Pick<Packet, 'source' | 'interface'>[] {
  const { node, pods, far, client, outside, loopback } = ADDRESSES[family];
  const isLoopback = destination === loopback;
  if (isLoopback) return [{ source: loopback }];
  return [
    ...[client, ...pods].map((source) => ({ source, interface: 'cni0' })),
    ...[...(isClusterIP ? [] : far), ...outside].map((source) => ({ source, interface: 'eth0' })),
    { source: isOnNode ? destination : node[0] },
  ];
}

function packetsFor(snapshot: Snapshot, facts: NodeFacts): Packet[] {
  return [...snapshot.servicePorts.values()].flatMap((servicePort) => {
    const { family, protocol, clusterIP, port, externalIPs, loadBalancerVIPs, nodePort } = servicePort;
    const own = [...ADDRESSES[family].node, ADDRESSES[family].loopback];
    const targets = [
      ...[clusterIP, ...externalIPs, ...loadBalancerVIPs].flatMap((destination) => [
        { destination, port },
        { destination, port: port + 1 },
      ]),
      ...(nodePort === 0 ? [] : own.map((destination) => ({ destination, port: nodePort }))),
    ];
    return targets.flatMap((target) =>
      senders(family, target.destination, {
        isOnNode: facts.localAddresses.has(target.destination),
        isClusterIP: target.destination === clusterIP,
      }).map((sender): Packet => ({
        family,
        protocol,
        ...target,
        ...sender,
      })),
    );
  });
}

const MAX_SERVICES = 3;

export const arbitraryWorld: fc.Arbitrary<World> = fc
  .record({
    options,
    services: fc.tuple(...Array.from({ length: MAX_SERVICES }, (_, number) => fc.option(service(number)))),
    slices: fc.tuple(
      ...Array.from({ length: MAX_SERVICES }, (_, number) => [slice('IPv4', number), slice('IPv6', number)]).flat(),
    ),
    zone: fc.constantFrom('a', ''),
    vipsAreLocal: fc.boolean(),
  })
  .map(({ options: dataplane, services, slices, zone, vipsAreLocal }) => {
    const table = new ServiceTable({ nodeName: SELF, dataplane });
    table.setNode({
      metadata: { name: SELF, labels: { 'topology.kubernetes.io/zone': zone } },
      status: {
        addresses: [ADDRESSES.IPv4.node[0], ADDRESSES.IPv6.node[0]].map((address) => ({ type: 'InternalIP', address })),
      },
    });
    for (const one of services) if (one !== null) table.upsertService(one);
    for (const one of slices) table.upsertEndpointSlice(one);
    const { snapshot } = table.take();
    const vips = [...snapshot.servicePorts.values()].flatMap(({ loadBalancerVIPs }) => loadBalancerVIPs);
    const localAddresses = new Set([...ADDRESSES.IPv4.node, ...ADDRESSES.IPv6.node, ...(vipsAreLocal ? vips : [])]);
    const facts = { localAddresses };
    return { snapshot, facts, packets: packetsFor(snapshot, facts) };
  });

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../property.ts';
import type { EndpointSlice, Node, Service } from '../../../../src/core/kubernetes.ts';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import type { ServicePort } from '../../../../src/core/service/snapshot.ts';
import { OPTIONS } from '../api-objects.ts';

type Event =
  | { readonly kind: 'service'; readonly object: Service }
  | { readonly kind: 'slice'; readonly object: EndpointSlice }
  | { readonly kind: 'node'; readonly object: Node }
  | { readonly kind: 'deleteService' | 'deleteSlice'; readonly name: string }
  | { readonly kind: 'relistServices'; readonly objects: readonly Service[] }
  | { readonly kind: 'relistSlices'; readonly objects: readonly EndpointSlice[] }
  | { readonly kind: 'take' };

const serviceName = fc.constantFrom('a', 'b', 'c');
const sliceName = fc.constantFrom('s1', 's2', 's3');
/** `usual` nine times of ten: a table of nothing but unusable objects would prove little. */
const mostly = <T, U>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<U>) =>
  fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: other });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const hints = fc.record({
  forZones: maybe(fc.array(fc.record({ name: fc.constantFrom('z1', 'z2') }), { minLength: 1, maxLength: 1 })),
  forNodes: maybe(fc.array(fc.record({ name: fc.constantFrom('n1', 'n2') }), { maxLength: 1 })),
});

const service: fc.Arbitrary<Service> = fc.record({
  metadata: fc.record({
    namespace: fc.constant('ns'),
    name: serviceName,
    labels: mostly(
      fc.constant({}),
      fc.constantFrom({ 'service.kubernetes.io/service-proxy-name': 'other' }, undefined),
    ),
  }),
  spec: fc.record({
    type: mostly(fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer'), fc.constant('ExternalName')),
    clusterIP: mostly(fc.constantFrom('172.30.0.1', '172.30.0.041'), fc.constantFrom('None', '', 'nonsense')),
    clusterIPs: fc.constantFrom(undefined, ['172.30.0.1', 'fd00::1']),
    ports: fc.array(
      fc.record({
        name: fc.constantFrom('', 'p'),
        protocol: mostly(fc.constantFrom(undefined, 'TCP', 'UDP'), fc.constant('ICMP')),
        port: mostly(fc.constantFrom(80, 81), fc.constant(0)),
        nodePort: fc.constantFrom(undefined, 0, 30080),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    externalIPs: maybe(fc.array(fc.constantFrom('9.9.9.9', 'fd00::9', '1.2.3'), { maxLength: 2 })),
    internalTrafficPolicy: fc.constantFrom('Local', 'Cluster', undefined),
    externalTrafficPolicy: fc.constantFrom('Local', 'Cluster', undefined),
    loadBalancerSourceRanges: maybe(fc.array(fc.constantFrom('192.168.0.0/16', '0.0.0.0/0', 'x'), { maxLength: 2 })),
  }),
  status: fc.constantFrom(undefined, { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } }),
});

const slice: fc.Arbitrary<EndpointSlice> = fc.record({
  metadata: fc.record({
    namespace: fc.constant('ns'),
    name: sliceName,
    labels: mostly(
      serviceName.map((name) => ({ 'kubernetes.io/service-name': name })),
      fc.constant(null),
    ),
  }),
  addressType: mostly(fc.constant('IPv4'), fc.constantFrom('IPv6', 'FQDN')),
  ports: fc.array(
    fc.record({
      name: mostly(fc.constantFrom('', 'p'), fc.constant(null)),
      protocol: mostly(fc.constant('TCP'), fc.constant('UDP')),
      port: mostly(fc.constantFrom(8080, 8081), fc.constant(null)),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  endpoints: maybe(
    fc.array(
      fc.record({
        addresses: mostly(fc.constantFrom(['10.0.0.1'], ['10.0.0.2', '10.0.0.3']), fc.constantFrom(['fd00::1'], [])),
        nodeName: fc.constantFrom('n1', 'n2', undefined),
        conditions: fc.record({
          ready: mostly(fc.constant(true), fc.constantFrom(false, null)),
          serving: fc.constantFrom(true, false, null),
          terminating: fc.constantFrom(true, false, null),
        }),
        hints: maybe(hints),
      }),
      { minLength: 1, maxLength: 4, size: 'max' },
    ),
  ),
});

const node: fc.Arbitrary<Node> = fc.record({
  metadata: fc.record({
    name: fc.constant('n1'),
    labels: fc.constantFrom({}, { 'topology.kubernetes.io/zone': 'z1' }, { 'topology.kubernetes.io/zone': 'z2' }),
  }),
  status: fc.constantFrom(undefined, { addresses: [{ type: 'InternalIP', address: '192.168.0.2' }] }),
});

const events: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('service' as const), object: service }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('slice' as const), object: slice }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('node' as const), object: node }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('deleteService' as const), name: serviceName }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('deleteSlice' as const), name: sliceName }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('relistServices' as const),
        objects: fc.uniqueArray(service, { maxLength: 3, selector: (object) => object.metadata?.name }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('relistSlices' as const),
        objects: fc.uniqueArray(slice, { maxLength: 3, selector: (object) => object.metadata?.name }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('take' as const) }) },
  ),
  { minLength: 5, maxLength: 40, size: 'max' },
);

/** The API server's side of the story: what exists after the events. */
class FinalObjects {
  readonly services = new Map<string, Service>();
  readonly slices = new Map<string, EndpointSlice>();
  node: Node | undefined;

  apply(event: Event): void {
    const nameOf = (object: Service | EndpointSlice): string => object.metadata?.name ?? '';
    if (event.kind === 'service') this.services.set(nameOf(event.object), event.object);
    if (event.kind === 'slice') this.slices.set(nameOf(event.object), event.object);
    if (event.kind === 'node') this.node = event.object;
    if (event.kind === 'deleteService') this.services.delete(event.name);
    if (event.kind === 'deleteSlice') this.slices.delete(event.name);
    if (event.kind === 'relistServices') this.services.clear();
    if (event.kind === 'relistServices') for (const object of event.objects) this.services.set(nameOf(object), object);
    if (event.kind === 'relistSlices') this.slices.clear();
    if (event.kind === 'relistSlices') for (const object of event.objects) this.slices.set(nameOf(object), object);
  }

  table(): ServiceTable {
    const table = new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });
    if (this.node !== undefined) table.setNode(this.node);
    table.replaceEndpointSlices([...this.slices.values()]);
    table.replaceServices([...this.services.values()]);
    return table;
  }
}

/** The data plane's side of the story: what somebody holds who only applies the changes. */
class Follower {
  readonly held = new Map<string, ServicePort>();

  take(table: ServiceTable): ReadonlyMap<string, ServicePort> {
    const { snapshot, changes } = table.take();
    for (const { key, before, after } of changes) {
      assert.notDeepEqual(before, after, 'a change must change something');
      assert.deepEqual(this.held.get(key), before, 'before is what the follower holds');
      if (after === undefined) this.held.delete(key);
      else this.held.set(key, after);
    }
    return snapshot.servicePorts;
  }
}

function applyTo(table: ServiceTable, event: Exclude<Event, { kind: 'take' }>): void {
  const named = (name: string) => ({ metadata: { namespace: 'ns', name } });
  if (event.kind === 'service') table.upsertService(event.object);
  if (event.kind === 'slice') table.upsertEndpointSlice(event.object);
  if (event.kind === 'node') table.setNode(event.object);
  if (event.kind === 'deleteService') table.deleteService(named(event.name));
  if (event.kind === 'deleteSlice') table.deleteEndpointSlice(named(event.name));
  if (event.kind === 'relistServices') table.replaceServices(event.objects);
  if (event.kind === 'relistSlices') table.replaceEndpointSlices(event.objects);
}

const hostileService = corrupt({
  metadata: { namespace: 'ns', name: 'bad', labels: {} },
  spec: {
    type: 'LoadBalancer',
    clusterIP: '172.30.0.1',
    clusterIPs: ['172.30.0.1', 'fd00::1'],
    ports: [{ name: 'p', protocol: 'TCP', port: 80, nodePort: 30080 }],
    externalIPs: ['9.9.9.9'],
    loadBalancerSourceRanges: ['192.168.0.0/16'],
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 10 } },
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 30000,
  },
  status: { loadBalancer: { ingress: [{ ip: '1.2.3.4', ipMode: 'VIP' }] } },
});

const hostileSlice = corrupt({
  metadata: { namespace: 'ns', name: 'bad', labels: { 'kubernetes.io/service-name': 'good' } },
  addressType: 'IPv4',
  ports: [{ name: '', protocol: 'TCP', port: 8080 }],
  endpoints: [
    {
      addresses: ['10.0.0.1'],
      nodeName: 'n1',
      conditions: { ready: true, serving: true, terminating: false },
      hints: { forZones: [{ name: 'z1' }], forNodes: [{ name: 'n1' }] },
    },
  ],
});

const sorted = (map: ReadonlyMap<string, ServicePort>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

describe('ServiceTable', () => {
  it('depends only on the final objects, and its changes add up to its snapshot', () => {
    assertProperty(
      fc.property(events, (list) => {
        const table = new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });
        const final = new FinalObjects();
        const follower = new Follower();
        for (const event of list) {
          final.apply(event);
          if (event.kind === 'take') follower.take(table);
          else applyTo(table, event);
        }
        const last = follower.take(table);
        assert.deepEqual(sorted(last), sorted(final.table().take().snapshot.servicePorts));
        assert.deepEqual(sorted(follower.held), sorted(last));
        assert.deepEqual(table.take().changes, [], 'nothing happened since');
      }),
      { numRuns: 2000 },
    );
  });

  it('never throws, whatever JSON an object holds, and serves the others', () => {
    assertProperty(
      fc.property(hostileService, hostileSlice, fc.jsonValue(), (badService, badSlice, badNode) => {
        const table = new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });
        table.upsertService(badService as Service);
        table.upsertEndpointSlice(badSlice as EndpointSlice);
        table.setNode({ metadata: badNode, status: { addresses: badNode } } as unknown as Node);
        table.upsertService({
          metadata: { namespace: 'ns', name: 'good' },
          spec: { clusterIP: '172.30.0.9', ports: [{ port: 80 }] },
        });
        assert.equal(table.take().snapshot.servicePorts.get('ns/good:/TCP@IPv4')?.clusterIP, '172.30.0.9');
      }),
      { numRuns: 500 },
    );
  });
});

/** `valid`, with any of its fields, or fields of its list items, replaced by any JSON. */
function corrupt(valid: object): fc.Arbitrary<unknown> {
  const fields = Object.entries(valid).map(([name, value]) => {
    const inner =
      typeof value === 'object' && value !== null ? corrupt(value as object) : fc.constant(value as unknown);
    return [name, fc.oneof({ weight: 4, arbitrary: inner }, { weight: 1, arbitrary: fc.jsonValue() })] as const;
  });
  if (Array.isArray(valid)) return fc.tuple(...fields.map(([, value]) => value));
  return fc.record(Object.fromEntries(fields));
}

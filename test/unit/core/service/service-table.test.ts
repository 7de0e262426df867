import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { EndpointSlice } from '../../../../src/core/kubernetes.ts';
import { ServiceTable, type Taken } from '../../../../src/core/service/service-table.ts';
import { endpoint, NOT_READY, OPTIONS, service, slice, TERMINATING_SERVING } from '../api-objects.ts';

const KEY = 'ns/web:/TCP@IPv4';
let table: ServiceTable;

beforeEach(() => {
  table = new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });
});

/** `address:port`, with `*` when local, of everything under policy Cluster. */
function backends(taken: Taken, key = KEY): readonly string[] | undefined {
  return taken.snapshot.servicePorts
    .get(key)
    ?.clusterBackends.map(({ address, port, isLocal }) => `${address}:${port}${isLocal ? '*' : ''}`);
}

/** Which ServicePorts came, went and changed. */
function changes(taken: Taken): readonly string[] {
  return taken.changes
    .map(({ key, before, after }) => `${before === undefined ? '+' : after === undefined ? '-' : '~'} ${key}`)
    .sort();
}

describe('ServiceTable: Services', () => {
  it('come, change and go, each seen once', () => {
    table.upsertService(service('web'));
    assert.deepEqual(changes(table.take()), [`+ ${KEY}`]);
    assert.deepEqual(changes(table.take()), []);
    table.upsertService(
      service('web', {
        ports: [
          { name: '', port: 81 },
          { name: 'x', port: 82 },
        ],
      }),
    );
    assert.deepEqual(changes(table.take()), ['+ ns/web:x/TCP@IPv4', `~ ${KEY}`]);
    table.deleteService(service('web'));
    const taken = table.take();
    assert.deepEqual(changes(taken), ['- ns/web:/TCP@IPv4', '- ns/web:x/TCP@IPv4']);
    assert.equal(taken.snapshot.servicePorts.size, 0);
  });

  it('that come and go between two takes are not seen at all', () => {
    table.upsertService(service('web'));
    table.deleteService(service('web'));
    assert.deepEqual(changes(table.take()), []);
  });

  it('that say the same again are no change', () => {
    table.upsertService(service('web', { externalIPs: ['9.9.9.9', '8.8.8.8'] }));
    table.take();
    table.upsertService(service('web', { externalIPs: ['8.8.8.8', '009.9.9.9'] }));
    assert.deepEqual(changes(table.take()), []);
  });

  const becoming = [
    ['headless', service('web', { clusterIP: 'None' })],
    ['an ExternalName', service('web', { type: 'ExternalName' })],
    [
      "another proxy's",
      service('web', {}, { metadata: { labels: { 'service.kubernetes.io/service-proxy-name': 'x' } } }),
    ],
  ] as const;
  for (const [what, changed] of becoming) {
    it(`that become ${what} vanish, and come back`, () => {
      table.upsertService(service('web'));
      table.take();
      table.upsertService(changed);
      assert.deepEqual(changes(table.take()), [`- ${KEY}`]);
      table.upsertService(service('web'));
      assert.deepEqual(changes(table.take()), [`+ ${KEY}`]);
    });
  }

  it('that a relist does not name are gone', () => {
    table.upsertService(service('web'));
    table.upsertService(service('other', { clusterIP: '172.30.0.2' }));
    table.take();
    table.replaceServices([service('web')]);
    assert.deepEqual(changes(table.take()), ['- ns/other:/TCP@IPv4']);
  });

  it('of a family that is not in use are not there until it is', () => {
    table = new ServiceTable({ nodeName: 'n1', dataplane: { ...OPTIONS, families: ['IPv6'] } });
    table.upsertService(service('web', { clusterIPs: ['172.30.0.1', 'fd00::1'] }));
    assert.deepEqual(changes(table.take()), ['+ ns/web:/TCP@IPv6']);
    table.setDataplaneOptions({ ...OPTIONS, families: ['IPv4'] });
    const taken = table.take();
    assert.deepEqual(changes(taken), [`+ ${KEY}`, '- ns/web:/TCP@IPv6']);
    assert.deepEqual(taken.snapshot.options.families, ['IPv4']);
  });
});

describe('ServiceTable: endpoints', () => {
  const named = (port: number, name = 'p'): EndpointSlice => ({ ports: [{ name, protocol: 'TCP', port }] });
  const cases: readonly {
    readonly name: string;
    readonly slices: readonly EndpointSlice[];
    readonly then?: readonly EndpointSlice[];
    readonly gone?: readonly string[];
    readonly expected: readonly string[];
  }[] = [
    { name: 'none', slices: [], expected: [] },
    {
      name: 'local and remote',
      slices: [slice('s', 'web', [endpoint('10.0.0.2', 'n2'), endpoint('10.0.0.1', 'n1'), endpoint('10.0.0.3')])],
      expected: ['10.0.0.1:8080*', '10.0.0.2:8080', '10.0.0.3:8080'],
    },
    { name: 'a port of another name', slices: [slice('s', 'web', [endpoint('10.0.0.1')], named(80))], expected: [] },
    {
      name: 'a port without a name',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')], { ports: [{ port: 80 }] })],
      expected: [],
    },
    {
      name: 'a port of another protocol',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')], { ports: [{ name: '', protocol: 'UDP', port: 80 }] })],
      expected: [],
    },
    {
      name: 'all ports (no number)',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')], { ports: [{ name: '', port: null }] })],
      expected: [],
    },
    {
      name: 'several slices',
      slices: [slice('s', 'web', [endpoint('10.0.0.2')]), slice('t', 'web', [endpoint('10.0.0.1')])],
      expected: ['10.0.0.1:8080', '10.0.0.2:8080'],
    },
    {
      name: 'a port number of its own on each pod',
      slices: [
        slice('s', 'web', [endpoint('10.0.0.1')], named(81, '')),
        slice('t', 'web', [endpoint('10.0.0.1')], named(82, '')),
      ],
      expected: ['10.0.0.1:81', '10.0.0.1:82'],
    },
    {
      name: 'one endpoint in two slices',
      slices: [slice('s', 'web', [endpoint('10.0.0.1', 'n1')]), slice('t', 'web', [endpoint('10.0.0.1', 'n1')])],
      expected: ['10.0.0.1:8080*'],
    },
    {
      name: 'a copy that does not terminate wins, first or second',
      slices: [
        slice('s', 'web', [endpoint('10.0.0.1', 'n1', { conditions: TERMINATING_SERVING }), endpoint('10.0.0.2')]),
        slice('t', 'web', [
          endpoint('10.0.0.1', 'n1'),
          endpoint('10.0.0.2', 'n2', { conditions: TERMINATING_SERVING }),
        ]),
      ],
      expected: ['10.0.0.1:8080*', '10.0.0.2:8080'],
    },
    {
      name: 'then a copy that is ready, first or second',
      slices: [
        slice('s', 'web', [endpoint('10.0.0.1', 'n1', { conditions: NOT_READY }), endpoint('10.0.0.2')]),
        slice('t', 'web', [endpoint('10.0.0.1', 'n1'), endpoint('10.0.0.2', 'n2', { conditions: NOT_READY })]),
      ],
      expected: ['10.0.0.1:8080*', '10.0.0.2:8080'],
    },
    {
      name: 'only the first address',
      slices: [slice('s', 'web', [{ addresses: ['10.0.0.1', '10.0.0.2'] }, { addresses: [] }])],
      expected: ['10.0.0.1:8080'],
    },
    {
      name: 'not ready',
      slices: [
        slice('s', 'web', [
          endpoint('10.0.0.1', 'n1', { conditions: NOT_READY }),
          endpoint('10.0.0.2', 'n1', { conditions: { ready: null } }),
        ]),
      ],
      expected: ['10.0.0.2:8080*'],
    },
    {
      name: 'another family',
      slices: [slice('s', 'web', [endpoint('fd00::1')], { addressType: 'IPv6' })],
      expected: [],
    },
    {
      name: 'host names',
      slices: [slice('s', 'web', [endpoint('pod.example')], { addressType: 'FQDN' })],
      expected: [],
    },
    {
      name: 'of a headless Service',
      slices: [
        slice('s', 'web', [endpoint('10.0.0.1')], { metadata: { labels: { 'service.kubernetes.io/headless': '' } } }),
      ],
      expected: [],
    },
    { name: 'of another Service', slices: [slice('s', 'other', [endpoint('10.0.0.1')])], expected: [] },
    {
      name: 'of another namespace',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')], { metadata: { namespace: 'else' } })],
      expected: [],
    },
    {
      name: 'addresses are canonical',
      slices: [slice('s', 'web', [endpoint('010.0.0.1')])],
      expected: ['10.0.0.1:8080'],
    },
    {
      name: 'an endpoint is added',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')])],
      then: [slice('s', 'web', [endpoint('10.0.0.1'), endpoint('10.0.0.2')])],
      expected: ['10.0.0.1:8080', '10.0.0.2:8080'],
    },
    {
      name: 'an endpoint is removed',
      slices: [slice('s', 'web', [endpoint('10.0.0.1'), endpoint('10.0.0.2')])],
      then: [slice('s', 'web', [endpoint('10.0.0.2')])],
      expected: ['10.0.0.2:8080'],
    },
    {
      name: 'a slice is removed',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')]), slice('t', 'web', [endpoint('10.0.0.2')])],
      gone: ['s'],
      expected: ['10.0.0.2:8080'],
    },
    {
      name: 'an endpoint moves between slices',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')]), slice('t', 'web', [])],
      then: [slice('s', 'web', []), slice('t', 'web', [endpoint('10.0.0.1')])],
      expected: ['10.0.0.1:8080'],
    },
    {
      name: 'the port is renumbered',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')])],
      then: [slice('s', 'web', [endpoint('10.0.0.1')], named(9090, ''))],
      expected: ['10.0.0.1:9090'],
    },
    {
      name: 'the port is renamed',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')])],
      then: [slice('s', 'web', [endpoint('10.0.0.1')], named(8080, 'x'))],
      expected: [],
    },
    {
      name: 'the slice moves to another Service',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')])],
      then: [slice('s', 'other', [endpoint('10.0.0.1')])],
      expected: [],
    },
    {
      name: 'the slice loses its label',
      slices: [slice('s', 'web', [endpoint('10.0.0.1')])],
      then: [{ metadata: { namespace: 'ns', name: 's' }, addressType: 'IPv4' }],
      expected: [],
    },
  ];
  for (const order of ['the Service first', 'the Service last'] as const) {
    for (const { name, slices, then = [], gone = [], expected } of cases) {
      it(`${name}; ${order}`, () => {
        if (order === 'the Service first') table.upsertService(service('web'));
        for (const object of slices) table.upsertEndpointSlice(object);
        table.take();
        for (const object of then) table.upsertEndpointSlice(object);
        for (const gonerName of gone) table.deleteEndpointSlice({ metadata: { namespace: 'ns', name: gonerName } });
        if (order === 'the Service last') table.upsertService(service('web'));
        assert.deepEqual(backends(table.take()), expected);
      });
    }
  }

  it('of a slice that moves reach its new Service', () => {
    table.upsertService(service('web'));
    table.upsertService(service('other', { clusterIP: '172.30.0.2' }));
    table.upsertEndpointSlice(slice('s', 'web', [endpoint('10.0.0.1')]));
    table.take();
    table.upsertEndpointSlice(slice('s', 'other', [endpoint('10.0.0.1')]));
    const taken = table.take();
    assert.deepEqual(changes(taken), ['~ ns/other:/TCP@IPv4', `~ ${KEY}`]);
    assert.deepEqual([backends(taken), backends(taken, 'ns/other:/TCP@IPv4')], [[], ['10.0.0.1:8080']]);
  });

  it('in another order or slice are no change', () => {
    table.upsertService(service('web'));
    table.upsertEndpointSlice(slice('s', 'web', [endpoint('10.0.0.1'), endpoint('10.0.0.2')]));
    table.take();
    table.upsertEndpointSlice(slice('s', 'web', [endpoint('10.0.0.2')]));
    table.upsertEndpointSlice(slice('t', 'web', [endpoint('10.0.0.1')]));
    assert.deepEqual(changes(table.take()), []);
  });

  it('that a relist does not name are gone', () => {
    table.upsertService(service('web'));
    table.upsertEndpointSlice(slice('s', 'web', [endpoint('10.0.0.1')]));
    table.upsertEndpointSlice(slice('t', 'web', [endpoint('10.0.0.2')]));
    table.replaceEndpointSlices([slice('t', 'web', [endpoint('10.0.0.2')])]);
    assert.deepEqual(backends(table.take()), ['10.0.0.2:8080']);
  });

  it('leave other Services alone, object for object', () => {
    for (const [name, clusterIP] of [
      ['a', '172.30.0.1'],
      ['b', '172.30.0.2'],
    ] as const) {
      table.upsertService(service(name, { clusterIP }));
      table.upsertEndpointSlice(slice(name, name, [endpoint('10.0.0.1')]));
    }
    const untouched = table.take().snapshot.servicePorts.get('ns/a:/TCP@IPv4');
    table.upsertEndpointSlice(slice('b', 'b', [endpoint('10.0.0.2')]));
    const taken = table.take();
    assert.deepEqual(changes(taken), ['~ ns/b:/TCP@IPv4']);
    assert.equal(taken.snapshot.servicePorts.get('ns/a:/TCP@IPv4'), untouched);
  });
});

describe('ServiceTable: the node', () => {
  const node = (zone?: string, address = '192.168.0.2') => ({
    metadata: { name: 'n1', labels: zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone } },
    status: {
      addresses: [
        { type: 'Hostname', address: 'n1' },
        { type: 'InternalIP', address },
      ],
    },
  });

  it('decides by its zone, and a new zone touches only what hints at zones', () => {
    table.upsertService(service('web'));
    table.upsertService(service('plain', { clusterIP: '172.30.0.2' }));
    const hinted = (address: string, zone: string) =>
      endpoint(address, 'n2', { hints: { forZones: [{ name: zone }] } });
    table.upsertEndpointSlice(slice('s', 'web', [hinted('10.0.0.1', 'y'), hinted('10.0.0.2', 'z')]));
    table.upsertEndpointSlice(slice('p', 'plain', [endpoint('10.0.0.1')]));
    assert.deepEqual(backends(table.take()), ['10.0.0.1:8080', '10.0.0.2:8080']);
    table.setNode(node('z'));
    const taken = table.take();
    assert.deepEqual([changes(taken), backends(taken)], [[`~ ${KEY}`], ['10.0.0.2:8080']]);
    table.setNode(node('y'));
    assert.deepEqual(backends(table.take()), ['10.0.0.1:8080']);
    table.setNode(node('y'));
    assert.deepEqual(changes(table.take()), []);
  });

  it('that its own source ranges allow may also come from the VIP', () => {
    const lb = { type: 'LoadBalancer', loadBalancerSourceRanges: ['192.168.0.0/24'] };
    table.upsertService(service('web', lb, { status: { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } } }));
    const ranges = (): readonly string[] | undefined =>
      table.take().snapshot.servicePorts.get(KEY)?.loadBalancerSourceRanges;
    assert.deepEqual(ranges(), ['192.168.0.0/24']);
    table.setNode(node(undefined, '192.168.0.2'));
    assert.deepEqual(ranges(), ['1.2.3.4/32', '192.168.0.0/24']);
    table.setNode(node(undefined, '192.168.9.2'));
    assert.deepEqual(ranges(), ['192.168.0.0/24']);
  });
});

describe('ServiceTable: problems', () => {
  const bad = (resourceVersion: string) => service('web', { externalIPs: ['x'] }, { metadata: { resourceVersion } });

  it('are told once, until they are others', () => {
    table.upsertService(bad('1'));
    assert.deepEqual(table.take().problems, [
      {
        object: 'Service ns/web',
        path: 'spec.externalIPs[0]',
        message: '"x" is not an IPv4 or IPv6 address',
        reference: { kind: 'Service', namespace: 'ns', name: 'web', uid: '', resourceVersion: '1' },
      },
    ]);
    table.replaceServices([bad('1')]);
    assert.deepEqual(table.take().problems, []);
    table.upsertService(bad('2'));
    assert.deepEqual(table.take().problems, []);
    table.upsertService(service('web', { externalIPs: ['x', 'y'] }));
    assert.equal(table.take().problems.length, 2);
  });

  it('of a slice name the slice and leave its other endpoints', () => {
    table.upsertService(service('web'));
    table.upsertEndpointSlice(slice('s', 'web', [endpoint('10.0.0.1'), endpoint('fd00::1'), endpoint('x')]));
    const taken = table.take();
    assert.deepEqual(
      taken.problems.map(({ object, path }) => [object, path]),
      [
        ['EndpointSlice ns/s', 'endpoints[1].addresses[0]'],
        ['EndpointSlice ns/s', 'endpoints[2].addresses[0]'],
      ],
    );
    assert.deepEqual(backends(taken), ['10.0.0.1:8080']);
  });

  it('of an object without a name are told too', () => {
    table.upsertService({ spec: { clusterIP: '172.30.0.1' } });
    assert.deepEqual(
      table.take().problems.map(({ path }) => path),
      ['metadata.name'],
    );
  });
});

describe('ServiceTable: what brought a change about', () => {
  const TRIGGER = '2026-07-01T10:00:00.123456789Z';
  const changedAt = (time: string | undefined, address: string): EndpointSlice => {
    const base = slice('s', 'web', [endpoint(address)]);
    const annotations = time === undefined ? {} : { 'endpoints.kubernetes.io/last-change-trigger-time': time };
    return { ...base, metadata: { ...base.metadata, annotations } };
  };

  it('is told once per trigger time of a slice', () => {
    table.upsertService(service('web'));
    table.upsertEndpointSlice(changedAt(TRIGGER, '10.0.0.1'));
    assert.deepEqual(table.take().triggers, [{ family: 'IPv4', atMs: Date.parse('2026-07-01T10:00:00.123Z') }]);
    table.upsertEndpointSlice(changedAt(TRIGGER, '10.0.0.2'));
    table.upsertEndpointSlice(changedAt(undefined, '10.0.0.3'));
    table.upsertEndpointSlice(changedAt('soon', '10.0.0.4'));
    assert.deepEqual(table.take().triggers, []);
  });

  it('is counted until it is taken', () => {
    table.upsertService(service('web'));
    table.upsertEndpointSlice(changedAt(undefined, '10.0.0.1'));
    table.deleteEndpointSlice(changedAt(undefined, '10.0.0.1'));
    assert.deepEqual(table.arrived, { services: 1, endpointSlices: 2 });
    assert.deepEqual(table.take().arrived, { services: 1, endpointSlices: 2 });
    assert.deepEqual(table.arrived, { services: 0, endpointSlices: 0 });
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Service } from '../../src/core/kubernetes.ts';
import type { DataplaneOptions } from '../../src/core/snapshot.ts';
import type { Flavour } from '../../src/kernel/iptables/tool.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { createTestbed, dataplaneOptions, nodePorts, NodeUnderTest, service, slices } from './iptables-fixture.ts';

/**
 * Who answers and what source the backends see. `A`: all backends, `L`: only this node's; `m`: not the client's own
 * address. A node process has several addresses, so nothing is said about its source.
 */
type Cell = 'A' | 'A m' | 'L' | 'L m';
interface Row {
  readonly from: 'pod' | 'node' | 'outside';
  readonly to: 'ClusterIP' | 'NodePort' | 'LB';
  /** Plain, externalTrafficPolicy Local, internalTrafficPolicy Local. */
  readonly cells: readonly [plain: Cell, externalLocal: Cell, internalLocal: Cell];
}

const ROWS: readonly Row[] = [
  { from: 'pod', to: 'ClusterIP', cells: ['A', 'A', 'L'] },
  { from: 'pod', to: 'NodePort', cells: ['A m', 'A', 'A m'] },
  { from: 'pod', to: 'LB', cells: ['A m', 'A', 'A m'] },
  { from: 'node', to: 'ClusterIP', cells: ['A', 'A', 'L'] },
  { from: 'node', to: 'NodePort', cells: ['A', 'A', 'A'] },
  { from: 'node', to: 'LB', cells: ['A', 'A', 'A'] },
  { from: 'outside', to: 'ClusterIP', cells: ['A m', 'A m', 'L m'] },
  { from: 'outside', to: 'NodePort', cells: ['A m', 'L', 'A m'] },
  { from: 'outside', to: 'LB', cells: ['A m', 'L', 'A m'] },
];

const WITHOUT_DETECTOR: readonly Row[] = [
  { from: 'pod', to: 'NodePort', cells: ['A m', 'L', 'A m'] },
  { from: 'pod', to: 'LB', cells: ['A m', 'L', 'A m'] },
];
const MASQUERADE_ALL: readonly Row[] = [
  { from: 'pod', to: 'ClusterIP', cells: ['A m', 'A m', 'L m'] },
  { from: 'outside', to: 'ClusterIP', cells: ['A m', 'A m', 'L m'] },
];

function withRows(...changes: readonly (readonly Row[])[]): readonly Row[] {
  const byPlace = new Map([ROWS, ...changes].flat().map((row) => [`${row.from} ${row.to}`, row]));
  return [...byPlace.values()];
}

/** Unmasqueraded, another node's backend answers an outside client directly, and the client does not know it. */
const hasWayBack = (row: Row): boolean => row.from !== 'outside' || row.to !== 'ClusterIP';

const NO_DETECTOR = { localDetector: { kind: 'none' } } as const;
const CONFIGURATIONS: readonly {
  readonly name: string;
  readonly flavour: Flavour;
  readonly options: Partial<DataplaneOptions>;
  readonly rows: readonly Row[];
}[] = [
  { name: 'pods known by CIDR', flavour: 'nft', options: {}, rows: ROWS },
  { name: 'pods known by CIDR, legacy', flavour: 'legacy', options: {}, rows: ROWS },
  {
    name: 'pods known by several CIDRs',
    flavour: 'nft',
    options: {
      localDetector: { kind: 'cidr', cidrs: ['10.244.9.0/24', '10.244.1.7/24', '10.244.2.0/24', 'fd00:244::/32'] },
    },
    rows: ROWS,
  },
  {
    name: 'pods known by their interface',
    flavour: 'nft',
    options: { localDetector: { kind: 'interfacePrefix', prefix: 'pod' } },
    rows: ROWS,
  },
  { name: 'no detector', flavour: 'nft', options: NO_DETECTOR, rows: withRows(WITHOUT_DETECTOR).filter(hasWayBack) },
  { name: 'masqueradeAll', flavour: 'nft', options: { masqueradeAll: true }, rows: withRows(MASQUERADE_ALL) },
  {
    name: 'masqueradeAll, no detector',
    flavour: 'nft',
    options: { ...NO_DETECTOR, masqueradeAll: true },
    rows: withRows(WITHOUT_DETECTOR, MASQUERADE_ALL),
  },
  { name: 'another mark', flavour: 'nft', options: { masqueradeBit: 31 }, rows: ROWS },
];

const SERVICES = ['plain', 'external-local', 'internal-local'] as const;
const POLICIES: readonly NonNullable<Service['spec']>[] = [
  {},
  { externalTrafficPolicy: 'Local' },
  { internalTrafficPolicy: 'Local' },
];
const clusterIP = (index: number): string => `10.96.0.${10 + index}`;
const vip = (index: number): string => `192.0.2.${10 + index}`;
const nodePort = (index: number): number => 30080 + index;

for (const { name, flavour, options, rows } of CONFIGURATIONS) {
  describe(`policies in iptables mode: ${name}`, () => {
    let testbed: Testbed;
    let node: NodeUnderTest;
    before(async () => {
      testbed = await createTestbed();
      node = new NodeUnderTest(testbed, flavour, dataplaneOptions(options));
      const backends = [testbed.node('n1'), testbed.node('n2')].flatMap((host) => host.pods.slice(0, 1));
      SERVICES.forEach((serviceName, index) => {
        const spec = { ...nodePorts(nodePort(index)), type: 'LoadBalancer', ...POLICIES[index] };
        const ips = [clusterIP(index), `fd00:96::${10 + index}`];
        node.put(service(serviceName, ips, spec, [vip(index)]), slices(serviceName, backends));
      });
      await node.sync();
    });
    after(() => testbed?.destroy());

    const client = (from: Row['from']): Host =>
      from === 'pod'
        ? (testbed.node('n1').pods[1] ?? assert.fail())
        : from === 'node'
          ? testbed.node('n1')
          : testbed.outside;
    const target = (to: Row['to'], index: number): readonly [string, number] =>
      to === 'ClusterIP'
        ? [clusterIP(index), 80]
        : to === 'LB'
          ? [vip(index), 80]
          : [testbed.node('n1').address, nodePort(index)];

    for (const { from, to, cells } of rows) {
      it(`${from} to ${to}: ${SERVICES.map((one, index) => `${one} ${cells[index]}`).join(', ')}`, async () => {
        const seen = await Promise.all(
          SERVICES.map(async (_, index) => {
            const result = await node.probe(client(from), 'TCP', target(to, index), 24);
            if (result.outcome !== 'ok') return result.outcome;
            const isOwn = result.sources.every((source) => source === client(from).address);
            const isLocal = Object.keys(result.backends).join() === 'n1-p1';
            return `${isLocal ? 'L' : 'A'}${isOwn || from === 'node' ? '' : ' m'}`;
          }),
        );
        assert.deepEqual(seen, cells);
      });
    }
  });
}

describe('refusals and restrictions in iptables mode', () => {
  let testbed: Testbed;
  let node: NodeUnderTest;
  before(async () => {
    testbed = await createTestbed();
    node = new NodeUnderTest(testbed, 'nft');
  });
  after(() => testbed?.destroy());

  const outcome = async (from: Host, target: readonly [string, number]): Promise<string> => {
    const result = await probe(testbed, from, { protocol: 'TCP', address: target[0], port: target[1], timeoutMs: 400 });
    return result.outcome;
  };

  it('drops what policy Local has no backend for here, and serves the rest', async () => {
    const remote = testbed.node('n2').pods.slice(0, 1);
    const local = { ...nodePorts(30090), externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' };
    node.put(service('far', ['10.96.0.20', 'fd00:96::20'], local, ['192.0.2.20']), slices('far', remote));
    await node.sync();
    const { outside } = testbed;
    const pod = testbed.node('n1').pods[0] ?? assert.fail();
    const nodeAddress = testbed.node('n1').address;
    assert.deepEqual(
      {
        podClusterIP: await outcome(pod, ['10.96.0.20', 80]),
        podNodePort: await outcome(pod, [nodeAddress, 30090]),
        podLB: await outcome(pod, ['192.0.2.20', 80]),
        outsideNodePort: await outcome(outside, [nodeAddress, 30090]),
        outsideLB: await outcome(outside, ['192.0.2.20', 80]),
      },
      {
        podClusterIP: 'timed-out',
        podNodePort: 'ok',
        podLB: 'ok',
        outsideNodePort: 'timed-out',
        outsideLB: 'timed-out',
      },
    );
  });

  it('lets only the source ranges in by load balancer VIPs, and everybody by the other ways', async () => {
    const own = testbed.node('n1');
    const pods = own.pods.slice(0, 1);
    const put = async (loadBalancerSourceRanges: readonly string[]): Promise<void> => {
      const spec = { ...nodePorts(30091), type: 'LoadBalancer', loadBalancerSourceRanges, externalIPs: ['192.0.2.31'] };
      node.put(service('guarded', ['10.96.0.30', 'fd00:96::30'], spec, ['192.0.2.30']), slices('guarded', pods));
      node.table.setNode({ status: { addresses: [{ type: 'InternalIP', address: own.address }] } });
      await node.sync();
    };
    const everybody = async (target: readonly [string, number]): Promise<readonly string[]> => [
      await outcome(testbed.outside, target),
      await outcome(own.pods[1] ?? assert.fail(), target),
      await outcome(own, target),
    ];
    await put([`${testbed.outside.address}/32`]);
    assert.deepEqual(await everybody(['192.0.2.30', 80]), ['ok', 'timed-out', 'timed-out']);
    assert.deepEqual(await everybody(['192.0.2.31', 80]), ['ok', 'ok', 'ok']);
    assert.deepEqual(await everybody([own.address, 30091]), ['ok', 'ok', 'ok']);
    assert.deepEqual(await everybody(['10.96.0.30', 80]), ['ok', 'ok', 'ok']);
    await put([`${own.address}/32`]);
    assert.deepEqual(await everybody(['192.0.2.30', 80]), ['timed-out', 'timed-out', 'ok']);
    await put([]);
    assert.deepEqual(await everybody(['192.0.2.30', 80]), ['ok', 'ok', 'ok']);
  });

  it('accepts NodePorts at the listed addresses only', async () => {
    const own = testbed.node('n1');
    const pods = own.pods.slice(0, 1);
    await testbed.exec(own, ['ip', 'addr', 'add', '172.18.0.77/32', 'dev', 'eth0']);
    const listed = new NodeUnderTest(
      testbed,
      'nft',
      dataplaneOptions({ nodePortAddresses: ['172.18.0.77', own.address6] }),
    );
    await listed.dataplane.remove();
    listed.put(service('np', ['10.96.0.40', 'fd00:96::40'], nodePorts(30092)), slices('np', pods));
    await listed.sync();
    assert.deepEqual(
      [
        await outcome(testbed.outside, ['172.18.0.77', 30092]),
        await outcome(testbed.outside, [own.address, 30092]),
        await outcome(testbed.outside, [own.address6, 30092]),
      ],
      ['ok', 'refused', 'ok'],
    );
  });
});

describe('session affinity in iptables mode', () => {
  for (const flavour of ['nft', 'legacy'] as const) {
    it(`keeps a client with its backend across ports and updates, ${flavour}`, async () => {
      await using testbed = await createTestbed();
      const node = new NodeUnderTest(testbed, flavour);
      const spec = { ...nodePorts(30093), sessionAffinity: 'ClientIP' };
      node.put(service('sticky', ['10.96.0.50', 'fd00:96::50'], spec), slices('sticky', testbed.pods));
      await node.sync();
      const pod = testbed.node('n1').pods[1] ?? assert.fail();
      const answered = async (from: Host, target: readonly [string, number]): Promise<readonly string[]> => {
        const result = await node.probe(from, 'TCP', target, 1);
        const rest = await node.probe(from, 'TCP', target, 24);
        assert.deepEqual([result.outcome, rest.outcome], ['ok', 'ok']);
        return [...new Set([...Object.keys(result.backends), ...Object.keys(rest.backends)])];
      };
      const [chosen, ...others] = await answered(pod, ['10.96.0.50', 80]);
      assert.deepEqual(others, []);
      assert.deepEqual(await answered(pod, [testbed.node('n1').address, 30093]), [chosen]);
      assert.equal((await answered(pod, ['fd00:96::50', 80])).length, 1);
      // Another backend goes: the client stays. Its own goes: it moves.
      const remaining = testbed.pods.filter((one) => one.name !== chosen);
      const stays = testbed.pods.filter((one) => one.name === chosen || one !== remaining[0]);
      node.put(slices('sticky', stays));
      await node.update();
      assert.deepEqual(await answered(pod, ['10.96.0.50', 80]), [chosen]);
      node.put(slices('sticky', remaining));
      await node.update();
      const [moved, ...more] = await answered(pod, ['10.96.0.50', 80]);
      assert.deepEqual([more, moved === chosen], [[], false]);
    });
  }
});

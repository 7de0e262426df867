import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Service } from '../../src/core/kubernetes.ts';
import type { DataplaneOptions } from '../../src/core/snapshot.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { createTestbed, dataplaneOptions, nodePorts, service, slices } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

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
  readonly options: Partial<DataplaneOptions>;
  readonly rows: readonly Row[];
}[] = [
  { name: 'pods known by CIDR', options: {}, rows: ROWS },
  {
    name: 'pods known by several CIDRs',
    options: {
      localDetector: { kind: 'cidr', cidrs: ['10.244.9.0/24', '10.244.1.7/24', '10.244.2.0/24', 'fd00:244::/32'] },
    },
    rows: ROWS,
  },
  {
    name: 'pods known by their interface',
    options: { localDetector: { kind: 'interfacePrefix', prefix: 'pod' } },
    rows: ROWS,
  },
  { name: 'no detector', options: NO_DETECTOR, rows: withRows(WITHOUT_DETECTOR).filter(hasWayBack) },
  { name: 'masqueradeAll', options: { masqueradeAll: true }, rows: withRows(MASQUERADE_ALL) },
  {
    name: 'masqueradeAll, no detector',
    options: { ...NO_DETECTOR, masqueradeAll: true },
    rows: withRows(WITHOUT_DETECTOR, MASQUERADE_ALL),
  },
  { name: 'another mark', options: { masqueradeBit: 31 }, rows: ROWS },
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

for (const { name, options, rows } of CONFIGURATIONS) {
  describe(`policies in nftables mode: ${name}`, () => {
    let testbed: Testbed;
    let node: NftablesNode;
    before(async () => {
      testbed = await createTestbed();
      node = new NftablesNode(testbed, dataplaneOptions(options));
      const backends = [testbed.node('n1'), testbed.node('n2')].flatMap((host) => host.pods.slice(0, 1));
      SERVICES.forEach((serviceName, index) => {
        const spec = { ...nodePorts(nodePort(index)), type: 'LoadBalancer', ...POLICIES[index] };
        const ips = [clusterIP(index), `fd00:96::${10 + index}`];
        node.put(service(serviceName, ips, spec, [vip(index)]), slices(serviceName, backends));
      });
      await node.sync();
    });
    after(async () => {
      node?.dataplane.close();
      await testbed?.destroy();
    });

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

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Service } from '../../src/core/kubernetes.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { createTestbed, nodePorts, NodeUnderTest, service, slices } from './iptables-fixture.ts';

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

const SERVICES = ['plain', 'external-local', 'internal-local'] as const;
const POLICIES: readonly NonNullable<Service['spec']>[] = [
  {},
  { externalTrafficPolicy: 'Local' },
  { internalTrafficPolicy: 'Local' },
];
const clusterIP = (index: number): string => `10.96.0.${10 + index}`;
const vip = (index: number): string => `192.0.2.${10 + index}`;
const nodePort = (index: number): number => 30080 + index;

/** The packet table has this of the usual flavour, with all that it depends on. */
describe('policies in iptables mode, legacy', () => {
  let testbed: Testbed;
  let node: NodeUnderTest;
  before(async () => {
    testbed = await createTestbed();
    node = new NodeUnderTest(testbed, 'legacy');
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

  for (const { from, to, cells } of ROWS) {
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

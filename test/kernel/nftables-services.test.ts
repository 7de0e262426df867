import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { createTestbed, nodePorts, service, slices } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

const CLUSTER_IPS = ['10.96.0.10', 'fd00:96::10'] as const;
const EMPTY_IPS = ['10.96.0.11', 'fd00:96::11'] as const;
const SELF_IPS = ['10.96.0.12', 'fd00:96::12'] as const;
const NODE_PORT = 30080;
const EMPTY_NODE_PORT = 30081;

describe('nftables mode', () => {
  let testbed: Testbed;
  let node: NftablesNode;
  let own: Host;
  let neighbour: Host;
  before(async () => {
    testbed = await createTestbed();
    const remote = testbed.node('n2').pods[0] ?? assert.fail();
    [own, neighbour] = testbed.node('n1').pods as [Host, Host];
    node = new NftablesNode(testbed);
    node.put(
      service('web', CLUSTER_IPS, nodePorts(NODE_PORT)),
      slices('web', [own, remote]),
      service('empty', EMPTY_IPS, nodePorts(EMPTY_NODE_PORT)),
      service('self', SELF_IPS),
      slices('self', [own]),
    );
    await node.sync();
  });
  after(async () => {
    node?.dataplane.close();
    await testbed?.destroy();
  });

  for (const protocol of ['TCP', 'UDP'] as const) {
    for (const family of [0, 1] as const) {
      const words = `${protocol}, IPv${family === 0 ? 4 : 6}`;
      const addressOf = (host: Host): string => (family === 0 ? host.address : host.address6);
      const reachesBoth = async (from: Host, to: readonly [string, number]): Promise<readonly string[]> => {
        const result = await node.probe(from, protocol, to, 40);
        assert.equal(result.outcome, 'ok');
        assert.deepEqual(Object.keys(result.backends).sort(), ['n1-p1', 'n2-p1']);
        return result.sources;
      };

      it(`${words}: a pod reaches all backends of a ClusterIP with its own address`, async () => {
        assert.deepEqual(await reachesBoth(neighbour, [CLUSTER_IPS[family], 80]), [addressOf(neighbour)]);
      });

      it(`${words}: the node reaches all backends of a ClusterIP`, async () => {
        await reachesBoth(node.node, [CLUSTER_IPS[family], 80]);
      });

      it(`${words}: outside reaches a ClusterIP masqueraded`, async () => {
        const sources = await reachesBoth(testbed.outside, [CLUSTER_IPS[family], 80]);
        assert.ok(!sources.includes(addressOf(testbed.outside)), sources.join(' '));
      });

      it(`${words}: outside reaches all backends of a NodePort, masqueraded`, async () => {
        const sources = await reachesBoth(testbed.outside, [addressOf(node.node), NODE_PORT]);
        assert.ok(!sources.includes(addressOf(testbed.outside)), sources.join(' '));
      });

      it(`${words}: the node and its pods reach all backends of a NodePort`, async () => {
        await reachesBoth(node.node, [addressOf(node.node), NODE_PORT]);
        await reachesBoth(neighbour, [addressOf(node.node), NODE_PORT]);
      });

      it(`${words}: a backend reaches itself through its ClusterIP`, async () => {
        const result = await node.probe(own, protocol, [SELF_IPS[family], 80], 5);
        assert.deepEqual([result.outcome, result.backends], ['ok', { 'n1-p1': 5 }]);
        assert.ok(!result.sources.includes(addressOf(own)), 'it must not answer itself directly');
      });

      const refused: readonly [string, () => Host, () => readonly [string, number]][] = [
        ['a pod, ClusterIP', () => own, () => [EMPTY_IPS[family], 80]],
        ['the node, ClusterIP', () => node.node, () => [EMPTY_IPS[family], 80]],
        ['outside, ClusterIP', () => testbed.outside, () => [EMPTY_IPS[family], 80]],
        ['a pod, NodePort', () => own, () => [addressOf(node.node), EMPTY_NODE_PORT]],
        ['the node, NodePort', () => node.node, () => [addressOf(node.node), EMPTY_NODE_PORT]],
        ['outside, NodePort', () => testbed.outside, () => [addressOf(node.node), EMPTY_NODE_PORT]],
      ];
      for (const [who, from, to] of refused) {
        it(`${words}: without endpoints it is refused at once: ${who}`, async () => {
          // A refusal in the output hook reaches a UDP sender as EPERM of its own call, not as an ICMP error.
          const expected = protocol === 'UDP' && who === 'the node, ClusterIP' ? 'unreachable' : 'refused';
          assert.equal((await node.probe(from(), protocol, to())).outcome, expected);
        });
      }
    }
  }

  it('spreads connections over the backends', async () => {
    const { backends } = await node.probe(neighbour, 'TCP', [CLUSTER_IPS[0], 80], 200);
    const counts = Object.values(backends);
    assert.equal(counts.length, 2);
    // 200 fair coins fall outside 60 to 140 less than once in ten million runs.
    for (const count of counts) assert.ok(count > 60 && count < 140, JSON.stringify(backends));
  });
});

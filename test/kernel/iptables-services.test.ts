import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FLAVOURS } from '../../src/kernel/iptables/tool.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { createTestbed, nodePorts, NodeUnderTest, service, slices } from './iptables-fixture.ts';

const CLUSTER_IPS = ['10.96.0.10', 'fd00:96::10'];
const EMPTY_IPS = ['10.96.0.11', 'fd00:96::11'];
const SELF_IPS = ['10.96.0.12', 'fd00:96::12'];
const NODE_PORT = 30080;
const EMPTY_NODE_PORT = 30081;

for (const flavour of FLAVOURS) {
  describe(`iptables mode, ${flavour}`, () => {
    let testbed: Testbed;
    let node: NodeUnderTest;
    let pod: Host;
    before(async () => {
      testbed = await createTestbed();
      const [own, other] = [testbed.node('n1').pods[0], testbed.node('n2').pods[0]];
      assert.ok(own !== undefined && other !== undefined);
      pod = own;
      node = new NodeUnderTest(testbed, flavour);
      node.put(
        service('web', CLUSTER_IPS, nodePorts(NODE_PORT)),
        slices('web', [own, other]),
        service('empty', EMPTY_IPS, nodePorts(EMPTY_NODE_PORT)),
        service('self', SELF_IPS),
        slices('self', [own]),
      );
      await node.sync();
    });
    after(() => testbed?.destroy());

    const protocols = ['TCP', 'UDP'] as const;
    const families = [0, 1] as const;
    const addressOf = (host: Host, family: 0 | 1): string => (family === 0 ? host.address : host.address6);

    for (const protocol of protocols) {
      for (const family of families) {
        const words = `${protocol}, IPv${family === 0 ? 4 : 6}`;
        const reachesBoth = async (from: Host, address: string, port: number): Promise<readonly string[]> => {
          const result = await node.probe(from, protocol, [address, port], 40);
          assert.equal(result.outcome, 'ok');
          assert.deepEqual(Object.keys(result.backends).sort(), ['n1-p1', 'n2-p1']);
          return result.sources;
        };
        const clusterIP = CLUSTER_IPS[family] ?? '';

        it(`${words}: a pod reaches all backends of a ClusterIP with its own address`, async () => {
          const other = testbed.node('n1').pods[1] ?? assert.fail();
          assert.deepEqual(await reachesBoth(other, clusterIP, 80), [addressOf(other, family)]);
        });

        it(`${words}: the node reaches all backends of a ClusterIP`, async () => {
          await reachesBoth(testbed.node('n1'), clusterIP, 80);
        });

        it(`${words}: outside reaches a ClusterIP masqueraded`, async () => {
          const sources = await reachesBoth(testbed.outside, clusterIP, 80);
          assert.ok(!sources.includes(addressOf(testbed.outside, family)), sources.join(' '));
        });

        it(`${words}: outside reaches all backends of a NodePort, masqueraded`, async () => {
          const sources = await reachesBoth(testbed.outside, addressOf(testbed.node('n1'), family), NODE_PORT);
          assert.ok(!sources.includes(addressOf(testbed.outside, family)), sources.join(' '));
        });

        it(`${words}: the node and its pods reach all backends of a NodePort`, async () => {
          await reachesBoth(testbed.node('n1'), addressOf(testbed.node('n1'), family), NODE_PORT);
          await reachesBoth(pod, addressOf(testbed.node('n1'), family), NODE_PORT);
        });

        it(`${words}: a backend reaches itself through its ClusterIP`, async () => {
          const result = await node.probe(pod, protocol, [SELF_IPS[family] ?? '', 80], 5);
          assert.deepEqual([result.outcome, result.backends], ['ok', { 'n1-p1': 5 }]);
          assert.ok(!result.sources.includes(addressOf(pod, family)), 'it must not answer itself directly');
        });

        // TCP over IPv6 learns it from the second SYN: the first one's ICMP error comes back through a veth pair while
        // connect(2) still holds the socket, and the kernel drops it then (TcpExtLockDroppedIcmps).
        it(`${words}: everybody is told that a Service has no endpoints`, async () => {
          const [own, { outside }] = [testbed.node('n1'), testbed];
          const outcome = async (from: Host, address: string | undefined, port: number): Promise<string> =>
            (await node.probe(from, protocol, [address ?? '', port])).outcome;
          const nodeAddress = addressOf(own, family);
          // The kernel tells a local UDP sender with EPERM instead of the ICMP error.
          const toNode = protocol === 'UDP' ? 'unreachable' : 'refused';
          const [podVip, nodeVip, outsideVip, podPort, nodePort, outsidePort] = await Promise.all([
            outcome(pod, EMPTY_IPS[family], 80),
            outcome(own, EMPTY_IPS[family], 80),
            outcome(outside, EMPTY_IPS[family], 80),
            outcome(pod, nodeAddress, EMPTY_NODE_PORT),
            outcome(own, nodeAddress, EMPTY_NODE_PORT),
            outcome(outside, nodeAddress, EMPTY_NODE_PORT),
          ]);
          assert.deepEqual(
            { podVip, nodeVip, outsideVip, podPort, nodePort, outsidePort },
            {
              podVip: 'refused',
              nodeVip: toNode,
              outsideVip: 'refused',
              podPort: 'refused',
              nodePort: toNode,
              outsidePort: 'refused',
            },
          );
        });
      }
    }
  });
}

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ServicePort } from '../../src/core/service/snapshot.ts';
import { Counters, type Counted } from '../../src/kernel/counters.ts';
import type { Testbed } from '../../src/sandbox/net/testbed.ts';
import { createTestbed, nodePorts, NodeUnderTest, service, slices, VIPS } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

const CLUSTER_IPS = ['10.96.0.10', 'fd00:96::10'] as const;
const EXTERNAL_IP = VIPS.replace('0/24', '9');
const NODE_PORT = 30_080;

/** The last packets of connections that were closed may still come in. */
function assertGoesOn(now: Counted | undefined, before: Counted): void {
  assert.equal(now?.connections, before.connections);
  assert.ok(now.packets >= before.packets && now.bytes >= before.bytes, JSON.stringify({ before, now }));
}

describe('counters of Services', () => {
  let testbed: Testbed;
  let counters: Counters;
  before(async () => {
    testbed = await createTestbed();
    counters = new Counters({ netns: testbed.node('n1').netnsPath });
  });
  after(async () => {
    await testbed?.destroy();
  });

  const tables = async (): Promise<string> =>
    (await testbed.exec(testbed.node('n1'), ['nft', 'list', 'ruleset'])).stdout.replaceAll(/^(?!table).*\n/gm, '');

  for (const [mode, makeNode] of Object.entries({
    nftables: () => new NftablesNode(testbed),
    iptables: () => new NodeUnderTest(testbed, 'nft'),
  })) {
    it(`count what clients send, by whichever address, in ${mode} mode`, async () => {
      const node = makeNode();
      try {
        const spec = { ...nodePorts(NODE_PORT), externalIPs: [EXTERNAL_IP] };
        node.put(service('web', CLUSTER_IPS, spec), slices('web', testbed.pods));
        const { snapshot } = node.take();
        await node.dataplane.sync(snapshot);
        const ports: readonly ServicePort[] = [...snapshot.servicePorts.values()];
        await counters.count(ports);
        const pod = node.node.pods[0] ?? assert.fail();
        await node.probe(pod, 'TCP', ['10.96.0.10', 80], 3);
        await node.probe(pod, 'TCP', ['fd00:96::10', 80], 2);
        await node.probe(pod, 'UDP', ['10.96.0.10', 80], 5);
        await node.probe(testbed.outside, 'TCP', [EXTERNAL_IP, 80], 4);
        await node.probe(testbed.outside, 'TCP', [node.node.address, NODE_PORT], 6);
        await node.probe(node.node, 'TCP', ['10.96.0.10', 80], 1);

        const counted = await counters.read();
        const connections = (key: string) => counted.get(`test/web:${key}`)?.connections;
        assert.equal(connections('tcp/TCP@IPv4'), 3 + 4 + 6 + 1);
        assert.equal(connections('tcp/TCP@IPv6'), 2);
        assert.equal(connections('udp/UDP@IPv4'), 5);
        const udp = counted.get('test/web:udp/UDP@IPv4') ?? assert.fail();
        assert.equal(udp.packets, 5);
        assert.ok(udp.bytes > 5 * 28);
        const tcp = counted.get('test/web:tcp/TCP@IPv4') ?? assert.fail();
        assert.ok(tcp.packets > 3 * tcp.connections, 'every packet from a client counts');

        await counters.count(ports.filter(({ protocol }) => protocol === 'TCP'));
        const left = await counters.read();
        assertGoesOn(left.get('test/web:tcp/TCP@IPv4'), tcp);
        assert.equal(left.has('test/web:udp/UDP@IPv4'), false);
        const again = new Counters({ netns: node.node.netnsPath });
        await again.count(ports.filter(({ family }) => family === 'IPv4'));
        assertGoesOn((await again.read()).get('test/web:tcp/TCP@IPv4'), tcp);
        assert.doesNotMatch(await tables(), /ip6 switchyard-counters/);
        await counters.count([]);
        assert.doesNotMatch(await tables(), /switchyard-counters/);
      } finally {
        await node.dataplane.remove();
        node.dataplane.close();
      }
    });
  }

  it('can be removed without a trace, again and again', async () => {
    await counters.remove();
    await counters.remove();
    assert.doesNotMatch(await tables(), /switchyard-counters/);
  });
});

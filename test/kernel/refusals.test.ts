import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { createTestbed, nodePorts, NodeUnderTest, service, slices } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

const MODES = {
  nftables: (testbed: Testbed) => new NftablesNode(testbed),
  'iptables-nft': (testbed: Testbed) => new NodeUnderTest(testbed, 'nft'),
  'iptables-legacy': (testbed: Testbed) => new NodeUnderTest(testbed, 'legacy'),
};
const NODE_PORT = 30099;

for (const [mode, make] of Object.entries(MODES)) {
  describe(`a Service without endpoints in ${mode} mode refuses at once`, () => {
    let testbed: Testbed;
    let node: NftablesNode | NodeUnderTest;
    before(async () => {
      testbed = await createTestbed();
      node = make(testbed);
      node.put(service('none', ['10.96.0.9', 'fd00:96::9'], nodePorts(NODE_PORT)), slices('none', []));
      await node.sync();
    });
    after(async () => {
      node?.dataplane.close();
      await testbed?.destroy();
    });

    /** SYNs and other segments that the host's sockets had to send again. */
    async function sentAgain(host: Host): Promise<number> {
      const { stdout } = await testbed.exec(host, ['cat', '/proc/net/snmp']);
      const [names = [], values = []] = stdout
        .split('\n')
        .filter((line) => line.startsWith('Tcp:'))
        .map((line) => line.split(' '));
      return Number(values[names.indexOf('RetransSegs')] ?? assert.fail(stdout));
    }

    const clients: readonly (readonly [name: string, host: () => Host])[] = [
      ['a pod', () => node.node.pods[0] ?? assert.fail()],
      ['the node', () => node.node],
      ['outside', () => testbed.outside],
    ];
    for (const [name, host] of clients) {
      it(`to ${name}: TCP by its first SYN, UDP as well`, async () => {
        const { address, address6 } = node.node;
        const targets = [
          ['10.96.0.9', 80],
          ['fd00:96::9', 80],
          [address, NODE_PORT],
          [address6, NODE_PORT],
        ] as const;
        const before = await sentAgain(host());
        for (const target of targets) {
          const { outcomes } = await node.probe(host(), 'TCP', target, 16);
          assert.deepEqual(outcomes, { refused: 16 }, `TCP to ${target.join(' ')}`);
        }
        assert.equal((await sentAgain(host())) - before, 0, 'segments sent again');
        for (const target of targets) {
          const { outcome } = await node.probe(host(), 'UDP', target);
          // A datagram that the node's own OUTPUT rejects fails in send() already, with EPERM.
          const told = host() === node.node ? ['refused', 'unreachable'] : ['refused'];
          assert.ok(told.includes(outcome), `UDP to ${target.join(' ')}: ${outcome}`);
        }
      });
    }
  });
}

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Testbed } from '../../src/sandbox/net/testbed.ts';
import { createTestbed, NodeUnderTest, service, slices } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

const VIPS = ['10.96.0.10', 'fd00:96::10'] as const;

for (const flavour of ['nft', 'legacy'] as const) {
  describe(`nftables mode beside iptables mode, ${flavour}`, () => {
    let testbed: Testbed;
    let nftables: NftablesNode;
    let iptables: NodeUnderTest;
    before(async () => {
      testbed = await createTestbed();
      nftables = new NftablesNode(testbed);
      iptables = new NodeUnderTest(testbed, flavour);
    });
    after(async () => {
      nftables?.dataplane.close();
      await testbed?.destroy();
    });

    /** Who answers a pod, the node and an outside client, over both families. */
    async function answers(): Promise<readonly string[]> {
      const [own, pod] = testbed.node('n1').pods;
      assert.ok(own !== undefined && pod !== undefined);
      const seen = new Set<string>();
      for (const from of [pod, testbed.node('n1'), testbed.outside]) {
        for (const address of VIPS) {
          const { outcome, backends } = await nftables.probe(from, 'TCP', [address, 80], 10);
          for (const answer of outcome === 'ok' ? Object.keys(backends) : [`${from.name}: ${outcome}`])
            seen.add(answer);
        }
      }
      return [...seen].sort();
    }

    for (const [order, first] of [
      ['iptables first', 'iptables'],
      ['nftables first', 'nftables'],
    ] as const) {
      it(`decides where new connections go, whichever is loaded first: ${order}`, async () => {
        const remote = testbed.node('n2').pods;
        nftables.put(service('web', VIPS), slices('web', remote.slice(0, 1)));
        iptables.put(service('web', VIPS), slices('web', remote.slice(1, 2)));
        const loads = { nftables: () => nftables.sync(), iptables: () => iptables.sync() };
        await loads[first]();
        await loads[first === 'nftables' ? 'iptables' : 'nftables']();
        assert.deepEqual(await answers(), ['n2-p1']);
        await nftables.dataplane.remove();
        assert.deepEqual(await answers(), ['n2-p2']);
        await iptables.dataplane.remove();
      });
    }

    for (const [who, nftablesHas, iptablesHas] of [
      ['nftables', [], ['n2-p2']],
      ['iptables', ['n2-p1'], []],
    ] as const) {
      it(`serves what only the other has endpoints for: none in ${who}`, async () => {
        const named = (names: readonly string[]) => testbed.pods.filter(({ name }) => names.includes(name));
        nftables.put(service('web', VIPS), slices('web', named(nftablesHas)));
        iptables.put(service('web', VIPS), slices('web', named(iptablesHas)));
        await iptables.sync();
        await nftables.sync();
        assert.deepEqual(await answers(), [...nftablesHas, ...iptablesHas]);
        await nftables.dataplane.remove();
        await iptables.dataplane.remove();
      });
    }
  });
}

import { describe, it } from 'node:test';
import type { Testbed } from '../../src/sandbox/net/testbed.ts';
import { flipEndpoints } from './endpoint-flips.ts';
import { createTestbed, NodeUnderTest } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

const MODES = {
  nftables: (testbed: Testbed) => new NftablesNode(testbed),
  'iptables-nft': (testbed: Testbed) => new NodeUnderTest(testbed, 'nft'),
  'iptables-legacy': (testbed: Testbed) => new NodeUnderTest(testbed, 'legacy'),
};
/** Whatever lies open between two writes, even for a millisecond, meets some of these. */
const FLIPS = { count: 15, perSecond: 100 };

describe('a Service that loses all endpoints and gets some again', () => {
  for (const [mode, make] of Object.entries(MODES)) {
    it(`never lets a packet past its rules in ${mode} mode`, async () => {
      await using testbed = await createTestbed();
      const node = make(testbed);
      try {
        await flipEndpoints(testbed, node, FLIPS);
      } finally {
        node.dataplane.close();
      }
    });
  }
});

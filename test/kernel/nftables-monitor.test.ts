import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createNftablesDataplane } from '../../src/kernel/dataplane-nftables.ts';
import { watchForeignChanges, type ForeignChange } from '../../src/kernel/nftables/monitor.ts';
import { Testbed } from '../../src/sandbox/net/testbed.ts';

describe('nftables notifications', () => {
  let testbed: Testbed;

  before(async () => {
    testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
  });

  after(() => testbed.destroy());

  it('tell of what others change, at once, and of nothing that we change', async () => {
    const node = testbed.node('n1');
    const stop = new AbortController();
    const changes: (ForeignChange | undefined)[] = [];
    let look: () => void = () => undefined;
    const until = (isTrue: () => boolean) =>
      new Promise<void>((resolve) => {
        look = () => {
          if (isTrue()) resolve();
        };
        look();
      });
    const note = (change: ForeignChange | undefined) => {
      changes.push(change);
      look();
    };
    const ended = watchForeignChanges(note, stop.signal, node.netnsPath);
    const dataplane = createNftablesDataplane({ netns: node.netnsPath });
    try {
      const options = {
        families: ['IPv4'],
        localDetector: { kind: 'none' },
        masqueradeAll: false,
        masqueradeBit: 14,
        nodePortAddresses: 'all',
        localhostNodePorts: false,
        serviceCIDRs: [],
      } as const;
      await dataplane.sync({ options, servicePorts: new Map() });
      await testbed.exec(node, ['nft', 'add', 'table', 'ip', 'marker']);
      await until(() => changes.length > 0);
      assert.deepEqual(changes, [{ family: 'ip', table: 'marker', chain: undefined, isRemoval: false }]);

      await testbed.exec(node, ['nft', 'flush', 'chain', 'ip', 'switchyard', 'services']);
      await until(() => changes.some((change) => change?.table === 'switchyard'));
      assert.ok(changes.slice(1).every((change) => change?.chain === 'services' && change.isRemoval));

      await testbed.exec(node, ['iptables-nft', '-t', 'nat', '-N', 'SOMEBODY']);
      await until(() => changes.some((change) => change?.table === 'nat' && change.chain === 'SOMEBODY'));
    } finally {
      stop.abort();
      await ended;
      dataplane.close();
    }
  });
});

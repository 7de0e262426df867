import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createIptablesDataplane } from '../../src/kernel/dataplane-iptables.ts';
import { Testbed } from '../../src/sandbox/net/testbed.ts';

const OPTIONS = {
  families: ['IPv4', 'IPv6'],
  localDetector: { kind: 'none' },
  masqueradeAll: false,
  masqueradeBit: 14,
  nodePortAddresses: 'all',
  localhostNodePorts: false,
  serviceCIDRs: [],
} as const;

/** What somebody does, and whether our rules are intact then. */
const CHANGES: readonly { readonly name: string; readonly command: string; readonly isIntact: boolean }[] = [
  { name: 'nat is flushed', command: 'iptables-legacy -t nat -F', isIntact: false },
  { name: 'one of our chains is emptied', command: 'iptables-legacy -t nat -F SWITCHYARD-MARK-MASQ', isIntact: false },
  { name: 'our jump is deleted', command: 'ip6tables-legacy -D FORWARD 1', isIntact: false },
  { name: 'somebody adds a rule of his own', command: 'iptables-legacy -A FORWARD -s 203.0.113.7', isIntact: true },
];

describe('a glance at rules of iptables-legacy', () => {
  let testbed: Testbed;
  before(async () => {
    testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
  });
  after(() => testbed.destroy());

  for (const { name, command, isIntact } of CHANGES) {
    it(`finds that ${name}`, async () => {
      const node = testbed.node('n1');
      const snapshot = { options: OPTIONS, servicePorts: new Map() };
      const dataplane = createIptablesDataplane({ netns: node.netnsPath, flavour: 'legacy' });
      try {
        assert.equal(dataplane.glance?.(), true);
        await dataplane.sync(snapshot);
        assert.equal(dataplane.glance?.(), true);
        assert.equal(await dataplane.isIntact?.(false), true);
        await testbed.exec(node, command.split(' '));
        assert.equal(dataplane.glance?.(), false);
        assert.equal(await dataplane.isIntact?.(false), isIntact);
        await dataplane.sync(snapshot);
        assert.deepEqual([dataplane.glance?.(), await dataplane.isIntact?.(false)], [true, true]);
      } finally {
        dataplane.close();
      }
    });
  }
});

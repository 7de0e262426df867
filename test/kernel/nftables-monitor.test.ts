import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createIptablesDataplane } from '../../src/kernel/dataplane-iptables.ts';
import { createNftablesDataplane } from '../../src/kernel/dataplane-nftables.ts';
import { watchForeignChanges, type ForeignChange } from '../../src/kernel/nftables/monitor.ts';
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
      await dataplane.sync({ options: OPTIONS, servicePorts: new Map() });
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

  it('number transactions: all that is flushed at once has one number, what follows another', async () => {
    const node = testbed.node('n1');
    const stop = new AbortController();
    const heard: string[] = [];
    const numbers = new Map<string, Set<number>>();
    const isDone = Promise.withResolvers<void>();
    const ended = watchForeignChanges(
      (change, transaction) => {
        const what = `${change?.isRemoval === true ? 'gone' : 'new'} ${change?.table}`;
        heard.push(what);
        numbers.set(what, (numbers.get(what) ?? new Set()).add(transaction));
        if (what === 'new last') isDone.resolve();
      },
      stop.signal,
      node.netnsPath,
    );
    try {
      const table = (name: string) => `add table ip ${name}; add chain ip ${name} a; add chain ip ${name} b`;
      await testbed.exec(node, ['nft', table('first')]);
      await testbed.exec(node, ['nft', 'flush ruleset']);
      await testbed.exec(node, ['nft', table('last')]);
      await isDone.promise;
      const [first, gone, last] = ['new first', 'gone first', 'new last'].map((what) => [...(numbers.get(what) ?? [])]);
      assert.deepEqual([first?.length, gone?.length, last?.length], [1, 1, 1], JSON.stringify(heard));
      assert.equal(new Set([first?.[0], gone?.[0], last?.[0]]).size, 3);
    } finally {
      stop.abort();
      await ended;
    }
  });

  it('tell apart what programs of ours change and what the same programs change for others, however soon after', async () => {
    const node = testbed.node('n1');
    const stop = new AbortController();
    const changes: (ForeignChange | undefined)[] = [];
    const heard = Promise.withResolvers<void>();
    const ended = watchForeignChanges(
      (change) => {
        changes.push(change);
        if (change?.chain === 'SWITCHYARD-MARK-MASQ') heard.resolve();
      },
      stop.signal,
      node.netnsPath,
    );
    const dataplane = createIptablesDataplane({ netns: node.netnsPath, flavour: 'nft' });
    try {
      await dataplane.sync({ options: OPTIONS, servicePorts: new Map() });
      await testbed.exec(node, ['iptables-nft', '-t', 'nat', '-F', 'SWITCHYARD-MARK-MASQ']);
      await heard.promise;
      assert.deepEqual(changes, [{ family: 'ip', table: 'nat', chain: 'SWITCHYARD-MARK-MASQ', isRemoval: true }]);
    } finally {
      stop.abort();
      await ended;
      dataplane.close();
    }
  });
});

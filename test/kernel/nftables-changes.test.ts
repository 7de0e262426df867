import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createNftablesDataplane } from '../../src/kernel/dataplane-nftables.ts';
import { isNotFound } from '../../src/kernel/error.ts';
import { NftablesClient } from '../../src/kernel/nftables/client.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { TrafficLoad } from '../../src/sandbox/traffic/traffic.ts';
import { createTestbed, dataplaneOptions, nodePorts, service, slices } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

const VIPS = ['10.96.0.10', 'fd00:96::10'] as const;
const NODE_PORT = 30080;
const DEADLINE_MS = 10_000;

/** Returns when the load has made `count` more attempts at something. */
async function moreAttempts(load: TrafficLoad, count: number): Promise<void> {
  const total = async (): Promise<number> =>
    (await load.report()).targets.reduce((sum, { attempts }) => sum + attempts, 0);
  const goal = (await total()) + count;
  for (const deadline = Date.now() + DEADLINE_MS; (await total()) < goal; await delay(5)) {
    assert.ok(Date.now() < deadline, 'the load stands still');
  }
}

describe('nftables mode, changes', () => {
  let testbed: Testbed;
  let node: NftablesNode;
  let pods: readonly Host[];
  before(async () => {
    testbed = await createTestbed();
    pods = testbed.pods;
  });
  after(() => testbed?.destroy());

  beforeEach(async () => {
    node = new NftablesNode(testbed);
    node.put(service('web', VIPS, nodePorts(NODE_PORT)), slices('web', pods.slice(0, 2)));
    await node.sync();
  });
  afterEach(async () => {
    await node.dataplane.remove();
    node.dataplane.close();
  });

  it('moves new connections to other endpoints without losing one', async () => {
    const client = pods[1] ?? assert.fail();
    const targets = (['TCP', 'UDP'] as const).flatMap((protocol) => [
      { name: `${protocol} ClusterIP`, protocol, address: VIPS[0], port: 80, backends: [], perSecond: 100, held: 2 },
      {
        name: `${protocol} NodePort`,
        protocol,
        address: node.node.address,
        port: NODE_PORT,
        backends: [],
        perSecond: 100,
        held: 2,
      },
    ]);
    const load = await TrafficLoad.start(testbed, client, { targets, timeoutMs: 2_000, heldIntervalMs: 20 });
    for (let round = 0; round < 30; round += 1) {
      const count = 1 + (round % 4);
      const rotated = [...pods.slice(round % 4), ...pods.slice(0, round % 4)].slice(0, count);
      node.put(slices('web', rotated));
      await node.update();
      await moreAttempts(load, 8);
    }
    const { targets: reports, failures } = await load.stop();
    assert.deepEqual(failures, []);
    for (const { name, attempts, outcomes } of reports) {
      assert.ok(attempts > 0, name);
      assert.equal(outcomes.ok, attempts, name);
    }
  });

  it('sends the first connection after an update to the new endpoint', async () => {
    for (const pod of pods) {
      node.put(slices('web', [pod]));
      await node.update();
      const { backends } = await node.probe(pods[0] ?? assert.fail(), 'TCP', [VIPS[0], 80], 5);
      assert.deepEqual(backends, { [pod.name]: 5 });
    }
  });

  it('writes nothing when it starts again over rules that are right', async () => {
    const client = new NftablesClient(node.node.netnsPath);
    const restarted = createNftablesDataplane({ netns: node.node.netnsPath });
    try {
      const generation = await client.generation();
      assert.deepEqual(await restarted.sync(node.take().snapshot), { written: 0, removed: 0 });
      assert.equal(await client.generation(), generation);
    } finally {
      client.close();
      restarted.close();
    }
  });

  it('carries on with updates after a restart', async () => {
    const { snapshot } = node.take();
    const restarted = createNftablesDataplane({ netns: node.node.netnsPath });
    try {
      await restarted.sync(snapshot);
      node.put(slices('web', pods));
      const { snapshot: next, changes } = node.take();
      const { written } = await restarted.update(next, changes);
      assert.ok(written > 0);
      assert.deepEqual(await restarted.verify(next), []);
      const { removed } = await restarted.sync(next);
      assert.ok(removed > 0, 'policies that no Service has any more are removed by a sync');
      assert.deepEqual(await restarted.sync(next), { written: 0, removed: 0 });
    } finally {
      restarted.close();
    }
  });

  const damages: readonly { name: string; nft: string; object: RegExp; problem: string }[] = [
    { name: 'everything flushed', nft: 'flush ruleset', object: /^table ip switchyard$/, problem: 'missing' },
    { name: 'one table deleted', nft: 'delete table ip6 switchyard', object: /^table ip6/, problem: 'missing' },
    {
      name: 'a frontend deleted',
      nft: 'delete element ip switchyard frontends { 10.96.0.10 . tcp . 80 }',
      object: /^element 10\.96\.0\.10 \. 6 \. 80 : .* of frontends of table ip switchyard$/,
      problem: 'missing',
    },
    {
      name: 'a stranger among the endpoints',
      nft: 'add element ip switchyard endpoints { 10.96.0.10 . tcp . 80 . 0x7 : 192.0.2.1 . 1 }',
      object: /^element 10\.96\.0\.10 \. 6 \. 80 \. 7 : 192\.0\.2\.1 \. 1 of endpoints/,
      problem: 'unexpected',
    },
    {
      name: 'a chain emptied',
      nft: 'flush chain ip switchyard services',
      object: /^chain services/,
      problem: 'changed',
    },
    {
      name: 'a rule added',
      nft: 'insert rule ip switchyard filter-forward drop',
      object: /^chain filter-forward/,
      problem: 'changed',
    },
    {
      name: 'a base chain added',
      nft: 'add chain ip switchyard extra { type filter hook input priority 5; }',
      object: /^table ip switchyard$/,
      problem: 'changed',
    },
    { name: 'a chain added', nft: 'add chain ip switchyard extra', object: /^chain extra/, problem: 'unexpected' },
    {
      name: 'a set added',
      nft: 'add set ip switchyard extra { type ipv4_addr; flags interval; }',
      object: /^set extra/,
      problem: 'unexpected',
    },
  ];
  for (const { name, nft, object, problem } of damages) {
    it(`finds and repairs damage: ${name}`, async () => {
      const { snapshot } = node.take();
      await node.run('nft', nft);
      const differences = await node.dataplane.verify(snapshot);
      assert.ok(
        differences.some((found) => object.test(found.object) && found.problem === problem),
        JSON.stringify(differences),
      );
      await node.sync();
      const { outcome } = await node.probe(testbed.outside, 'TCP', [VIPS[0], 80], 5);
      assert.equal(outcome, 'ok');
    });
  }

  it('refuses an update onto a table that somebody emptied, and a sync mends it', async () => {
    await node.run('nft', 'flush ruleset');
    node.put(slices('web', pods));
    await assert.rejects(node.update(), isNotFound);
    await node.sync();
  });

  it('touches nobody else', async () => {
    const foreign = `
      table ip kube-proxy {
        set cluster-ips { type ipv4_addr; elements = { 10.96.0.10 }; }
        chain nat-prerouting { type nat hook prerouting priority dstnat; ip daddr @cluster-ips counter accept; }
      }
      table inet switchyard-of-somebody-else {
        chain c { type filter hook input priority 0; tcp dport 1 drop; }
      }
      table arp switchyard {
        chain c { type filter hook input priority 0; }
      }`;
    await testbed.exec(node.node, ['nft', '-f', '-'], { input: foreign });
    const list = async (): Promise<string> => {
      const tables = [
        ['ip', 'kube-proxy'],
        ['inet', 'switchyard-of-somebody-else'],
        ['arp', 'switchyard'],
      ];
      const texts = await Promise.all(tables.map((table) => node.run('nft', '-a', 'list', 'table', ...table)));
      return texts.join('');
    };
    const before = await list();
    node.put(slices('web', pods));
    await node.update();
    await node.run('nft', 'flush chain ip switchyard services');
    await node.sync();
    await node.dataplane.remove();
    assert.equal(await node.dataplane.isPresent(), false);
    assert.equal(await list(), before);
    for (const table of ['ip kube-proxy', 'inet switchyard-of-somebody-else', 'arp switchyard']) {
      await node.run('nft', `delete table ${table}`);
    }
  });

  it('lets one of two Services have an address that both claim, until it gives it up', async () => {
    const shared = { externalIPs: ['192.0.2.7'] };
    const [first, second] = [pods[0], pods[1]];
    assert.ok(first !== undefined && second !== undefined);
    const reached = async (): Promise<string[]> =>
      Object.keys((await node.probe(testbed.outside, 'TCP', ['192.0.2.7', 80], 10)).backends);
    node.put(service('b', ['10.96.0.21', 'fd00:96::21'], shared), slices('b', [second]));
    await node.update();
    assert.deepEqual(await reached(), [second.name]);

    node.put(service('a', ['10.96.0.20', 'fd00:96::20'], shared), slices('a', [first]));
    await node.update();
    assert.deepEqual(await reached(), [first.name], 'the first by name has it');

    node.put(service('a', ['10.96.0.20', 'fd00:96::20']));
    await node.update();
    assert.deepEqual(await reached(), [second.name]);
  });

  it('has the table of a family that is switched off removed', async () => {
    const only4 = new NftablesNode(testbed, dataplaneOptions({ families: ['IPv4'] }));
    try {
      await only4.sync();
      assert.deepEqual((await node.run('nft', 'list', 'tables')).trim(), 'table ip switchyard');
    } finally {
      only4.dataplane.close();
    }
  });

  it('removes what is there, and is content when nothing is', async () => {
    assert.equal(await node.dataplane.isPresent(), true);
    await node.dataplane.remove();
    assert.equal(await node.dataplane.isPresent(), false);
    await node.dataplane.remove();
    assert.equal(await node.run('nft', 'list', 'ruleset'), '');
  });
});

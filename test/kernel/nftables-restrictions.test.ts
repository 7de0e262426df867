import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { createTestbed, nodePorts, service, slices } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

type Target = readonly [address: string, port: number];

describe('source ranges and affinity in nftables mode', () => {
  let testbed: Testbed;
  let node: NftablesNode;
  let pods: readonly [Host, Host];
  before(async () => {
    testbed = await createTestbed();
    pods = testbed.node('n1').pods as unknown as [Host, Host];
  });
  after(() => testbed?.destroy());
  afterEach(async () => {
    await node.dataplane.remove();
    node.dataplane.close();
  });

  const start = (): NftablesNode => (node = new NftablesNode(testbed));

  const sticky = { ...nodePorts(30093), type: 'LoadBalancer', sessionAffinity: 'ClientIP' };
  const stickyService = (spec = {}) =>
    service('sticky', ['10.96.0.50', 'fd00:96::50'], { ...sticky, ...spec }, ['192.0.2.50']);
  /** Who answers 25 connections, one after another. */
  const answered = async (from: Host, target: Target): Promise<readonly string[]> => {
    const first = await node.probe(from, 'TCP', target, 1);
    const rest = await node.probe(from, 'TCP', target, 24);
    assert.deepEqual([first.outcome, rest.outcome], ['ok', 'ok']);
    return [...new Set([...Object.keys(first.backends), ...Object.keys(rest.backends)])];
  };

  it('keeps a client with its backend across ports and updates', async () => {
    start().put(stickyService(), slices('sticky', testbed.pods));
    await node.sync();
    const client = pods[1];
    const [chosen, ...others] = await answered(client, ['10.96.0.50', 80]);
    assert.deepEqual(others, []);
    assert.deepEqual(await answered(client, [node.node.address, 30093]), [chosen]);
    assert.deepEqual(await answered(client, ['192.0.2.50', 80]), [chosen]);
    const [chosen6, ...others6] = await answered(client, ['fd00:96::50', 80]);
    assert.deepEqual(others6, []);
    assert.deepEqual(await answered(client, [node.node.address6, 30093]), [chosen6]);

    // A sync, even by a new process, forgets nothing. Another backend goes: the client stays. Its own goes: it moves.
    await node.sync();
    assert.deepEqual(await answered(client, ['10.96.0.50', 80]), [chosen]);
    const remaining = testbed.pods.filter(({ name }) => name !== chosen);
    node.put(slices('sticky', [...remaining.slice(1), ...testbed.pods.filter(({ name }) => name === chosen)]));
    await node.update();
    assert.deepEqual(await answered(client, ['10.96.0.50', 80]), [chosen]);
    node.put(slices('sticky', remaining));
    await node.update();
    const [moved, ...more] = await answered(client, ['10.96.0.50', 80]);
    assert.deepEqual([more, moved === chosen], [[], false]);
    assert.deepEqual(await answered(client, [node.node.address, 30093]), [moved]);
  });

  it('stays readable for the nft program, which is easily upset', async () => {
    const local = { externalTrafficPolicy: 'Local', loadBalancerSourceRanges: ['10.0.0.0/8', 'fd00::/8'] };
    start().put(stickyService(local), slices('sticky', testbed.pods));
    await node.sync();
    const text = await node.run('nft', 'list', 'ruleset');
    for (const family of ['ip', 'ip6']) {
      const table = text.slice(text.indexOf(`table ${family} switchyard`));
      assert.match(table, /chain services \{\s+ip6? daddr .*vmap @policies comment "by the data of @frontends"/);
      assert.match(table, /numgen random mod 4 map @endpoints/);
      assert.match(table, /update @affinity \{ .* timeout 3h/);
    }
  });

  it('gives different clients different backends', async () => {
    start().put(stickyService(), slices('sticky', testbed.pods));
    await node.sync();
    const seen = new Set<string>();
    const clients = [...testbed.node('n1').pods, testbed.node('n1'), testbed.outside];
    // One client chooses anew each time that the Service was away; 40 choices among 4 all fall on one once in 4^39 runs.
    for (let round = 0; round < 10; round += 1) {
      for (const client of clients) seen.add((await answered(client, ['10.96.0.50', 80]))[0] ?? '');
      await node.dataplane.remove();
      await node.sync();
    }
    assert.ok(seen.size > 1, [...seen].join());
  });

  it('forgets a client after the timeout', async () => {
    const config = { sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } } };
    start().put(stickyService(config), slices('sticky', testbed.pods));
    await node.sync();
    await answered(pods[1], ['10.96.0.50', 80]);
    const entries = (): Promise<string> => node.run('nft', 'list', 'map', 'ip', 'switchyard', 'affinity');
    assert.match(await entries(), /timeout 1s expires/);
    for (const deadline = Date.now() + 5_000; /expires/.test(await entries()); await delay(50)) {
      assert.ok(Date.now() < deadline);
    }
    assert.equal((await answered(pods[1], ['10.96.0.50', 80])).length, 1);
  });

  it('keeps to the backends of this node under policy Local, whatever was remembered', async () => {
    start().put(stickyService(), slices('sticky', [testbed.node('n2').pods[0] ?? assert.fail(), ...pods]));
    await node.sync();
    await answered(testbed.outside, [node.node.address, 30093]);
    node.put(stickyService({ externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' }));
    await node.update();
    for (const [from, target] of [
      [testbed.outside, [node.node.address, 30093]],
      [testbed.outside, ['192.0.2.50', 80]],
      [pods[1], ['10.96.0.50', 80]],
    ] as const) {
      const [chosen = '', ...others] = await answered(from, target);
      assert.deepEqual(others, []);
      assert.match(chosen, /^n1-/);
    }
  });
});

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataplaneOptions } from '../../src/core/snapshot.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { createTestbed, dataplaneOptions, nodePorts, service, slices } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

type Target = readonly [address: string, port: number];

describe('refusals, restrictions and affinity in nftables mode', () => {
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

  const outcome = async (from: Host, [address, port]: Target): Promise<string> => {
    const result = await probe(testbed, from, { protocol: 'TCP', address, port, timeoutMs: 400 });
    return result.outcome;
  };
  const start = (options: Partial<DataplaneOptions> = {}): NftablesNode =>
    (node = new NftablesNode(testbed, dataplaneOptions(options)));

  it('drops what policy Local has no backend for here, and serves the rest', async () => {
    const remote = testbed.node('n2').pods.slice(0, 1);
    const local = { ...nodePorts(30090), externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' };
    start().put(service('far', ['10.96.0.20', 'fd00:96::20'], local, ['192.0.2.20']), slices('far', remote));
    await node.sync();
    const nodeAddress = node.node.address;
    assert.deepEqual(
      {
        podClusterIP: await outcome(pods[0], ['10.96.0.20', 80]),
        podNodePort: await outcome(pods[0], [nodeAddress, 30090]),
        podLB: await outcome(pods[0], ['192.0.2.20', 80]),
        outsideNodePort: await outcome(testbed.outside, [nodeAddress, 30090]),
        outsideLB: await outcome(testbed.outside, ['192.0.2.20', 80]),
      },
      {
        podClusterIP: 'timed-out',
        podNodePort: 'ok',
        podLB: 'ok',
        outsideNodePort: 'timed-out',
        outsideLB: 'timed-out',
      },
    );
    node.put(slices('far', []));
    await node.update();
    for (const target of [['10.96.0.20', 80] as const, [nodeAddress, 30090] as const, ['192.0.2.20', 80] as const]) {
      assert.equal(await outcome(pods[0], target), 'refused', 'without endpoints anywhere');
    }
  });

  it('lets only the source ranges in by load balancer VIPs, and everybody by the other ways', async () => {
    const own = testbed.node('n1');
    start();
    const put = (loadBalancerSourceRanges: readonly string[]): void => {
      const spec = { ...nodePorts(30091), type: 'LoadBalancer', loadBalancerSourceRanges, externalIPs: ['192.0.2.31'] };
      const guarded = service('guarded', ['10.96.0.30', 'fd00:96::30'], spec, ['192.0.2.30']);
      node.put(guarded, slices('guarded', pods.slice(0, 1)));
    };
    const everybody = async (target: Target): Promise<readonly string[]> => [
      await outcome(testbed.outside, target),
      await outcome(pods[1], target),
      await outcome(own, target),
    ];
    put([`${testbed.outside.address}/32`]);
    await node.sync();
    assert.deepEqual(await everybody(['192.0.2.30', 80]), ['ok', 'timed-out', 'timed-out']);
    assert.deepEqual(await everybody(['192.0.2.31', 80]), ['ok', 'ok', 'ok']);
    assert.deepEqual(await everybody([own.address, 30091]), ['ok', 'ok', 'ok']);
    assert.deepEqual(await everybody(['10.96.0.30', 80]), ['ok', 'ok', 'ok']);

    const changes: readonly (readonly [name: string, ranges: readonly string[], seen: readonly string[]])[] = [
      ['another address', [`${own.address}/32`], ['timed-out', 'timed-out', 'ok']],
      ['ranges within ranges', ['10.0.0.0/8', '10.244.0.0/16', '172.18.0.100/32'], ['ok', 'ok', 'timed-out']],
      ['the same start, a shorter range', ['10.0.0.0/9', '172.18.0.100/31'], ['ok', 'timed-out', 'timed-out']],
      ['everybody, by a range', ['0.0.0.0/0'], ['ok', 'ok', 'ok']],
      ['everybody, by none', [], ['ok', 'ok', 'ok']],
    ];
    for (const [name, ranges, seen] of changes) {
      put(ranges);
      await node.update();
      assert.deepEqual(await everybody(['192.0.2.30', 80]), seen, name);
    }
  });

  it('accepts NodePorts at the listed addresses only', async () => {
    const own = testbed.node('n1');
    await testbed.exec(own, ['ip', 'addr', 'add', '172.18.0.77/32', 'dev', 'eth0']);
    start({ nodePortAddresses: ['172.18.0.77', own.address6] });
    node.put(service('np', ['10.96.0.40', 'fd00:96::40'], nodePorts(30092)), slices('np', pods.slice(0, 1)));
    await node.sync();
    assert.deepEqual(
      [
        await outcome(testbed.outside, ['172.18.0.77', 30092]),
        await outcome(testbed.outside, [own.address, 30092]),
        await outcome(testbed.outside, [own.address6, 30092]),
      ],
      ['ok', 'refused', 'ok'],
    );
  });

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

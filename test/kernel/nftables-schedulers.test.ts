import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Service } from '../../src/core/kubernetes.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { createTestbed, nodePorts, service, slices } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

type Target = readonly [address: string, port: number];

const CLUSTER_IP = '10.96.0.60';
const CLUSTER_IP6 = 'fd00:96::60';
const VIP = '192.0.2.60';
const NODE_PORT = 30096;
const CLIENTS = 24;

describe('schedulers in nftables mode', () => {
  let testbed: Testbed;
  let node: NftablesNode;
  let pods: readonly Host[];
  before(async () => {
    testbed = await createTestbed();
    pods = testbed.pods;
    const addresses = Array.from({ length: CLIENTS }, (_, index) =>
      [`addr add ${client(index)[0]}/32 dev lo`, `addr add ${client(index)[1]}/128 dev lo`].join('\n'),
    );
    await testbed.exec(testbed.outside, ['ip', '-batch', '-'], { input: `${addresses.join('\n')}\n` });
    const n1 = testbed.node('n1');
    await testbed.route(n1, '203.0.113.0/24', testbed.outside);
    await testbed.route(n1, 'fd00:cc::/64', testbed.outside);
  });
  after(() => testbed?.destroy());
  afterEach(async () => {
    await node.dataplane.remove();
    node.dataplane.close();
  });

  function client(index: number): readonly [string, string] {
    return [`203.0.113.${10 + index}`, `fd00:cc::${10 + index}`];
  }

  function scheduled(word: string, spec: NonNullable<Service['spec']> = {}): Service {
    const common = { ...nodePorts(NODE_PORT), type: 'LoadBalancer', ...spec };
    const base = service('hashed', [CLUSTER_IP, CLUSTER_IP6], common, [VIP]);
    return { ...base, metadata: { ...base.metadata, annotations: { 'switchyard.dev/scheduler': word } } };
  }

  async function start(object: Service, backends = pods): Promise<void> {
    node = new NftablesNode(testbed);
    node.put(object, slices('hashed', backends));
    await node.sync();
  }

  /** Who answers `count` connections. */
  async function answers(from: Host, target: Target, count = 20): Promise<readonly string[]> {
    const { outcome, backends } = await node.probe(from, 'TCP', target, count);
    assert.equal(outcome, 'ok', `${from.name} to ${target.join(':')}`);
    return Object.keys(backends).sort();
  }

  /** Who answers each of the outside clients, in their order; each always gets one answer. */
  async function answersToClients(target: Target): Promise<readonly string[]> {
    const isIPv6 = target[0].includes(':');
    const n1 = testbed.node('n1');
    const seen: string[] = [];
    for (let index = 0; index < CLIENTS; index += 1) {
      const [prefix, gateway, source] = isIPv6
        ? [`${target[0]}/128`, n1.address6, client(index)[1]]
        : [`${target[0]}/32`, n1.address, client(index)[0]];
      const route = target[0] === gateway ? ['dev', 'eth0'] : ['via', gateway];
      await testbed.exec(testbed.outside, ['ip', 'route', 'replace', prefix, ...route, 'src', source]);
      const [answer = '', ...others] = await answers(testbed.outside, target, 4);
      assert.deepEqual(others, [], `client ${source}`);
      seen.push(answer);
    }
    return seen;
  }

  it('sh: a client always has the same backend, by whatever address and from whatever port', async () => {
    await start(scheduled('sh'));
    const { address, address6 } = node.node;
    const pod = node.node.pods[1] ?? assert.fail();
    const v4 = await Promise.all(
      [[CLUSTER_IP, 80] as const, [VIP, 80] as const, [address, NODE_PORT] as const].map((to) => answers(pod, to)),
    );
    const v6 = await Promise.all(
      [[CLUSTER_IP6, 80] as const, [address6, NODE_PORT] as const].map((to) => answers(pod, to)),
    );
    assert.equal(v4[0]?.length, 1);
    assert.equal(v6[0]?.length, 1);
    assert.equal(new Set(v4.map(String)).size, 1);
    assert.equal(new Set(v6.map(String)).size, 1);
  });

  for (const [name, target] of [
    ['IPv4', [VIP, 80]],
    ['IPv6', [CLUSTER_IP6, 80]],
  ] as const) {
    it(`sh: clients spread, and only those of a backend that goes move: ${name}`, async () => {
      await start(scheduled('sh'));
      const before = await answersToClients(target);
      assert.deepEqual([...new Set(before)].sort(), pods.map((pod) => pod.name).sort());
      const [, gone, ...others] = pods;
      assert.ok(gone !== undefined);
      node.put(slices('hashed', [...others, pods[0] ?? assert.fail()]));
      await node.update();
      const without = await answersToClients(target);
      const movers = before.filter((answer) => answer === gone.name);
      assert.ok(movers.length > 0);
      assert.deepEqual(
        without.map((answer, index) => (before[index] === gone.name ? answer !== gone.name : answer === before[index])),
        before.map(() => true),
      );
      node.put(slices('hashed', pods));
      await node.update();
      assert.deepEqual(await answersToClients(target), before, 'the backend is back');
    });
  }

  it('sh under policy Local: outside clients stay with, and spread over, the backends of this node', async () => {
    await start(scheduled('sh', { externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' }));
    for (const target of [[VIP, 80] as const, [node.node.address, NODE_PORT] as const]) {
      assert.deepEqual([...new Set(await answersToClients(target))].sort(), ['n1-p1', 'n1-p2']);
    }
    const pod = node.node.pods[1] ?? assert.fail();
    const [own = '', ...others] = await answers(pod, [CLUSTER_IP, 80]);
    assert.match(own, /^n1-/);
    assert.deepEqual(others, []);
  });

  it('sh-port: a client spreads by its ports, and a port has the same backend each time', async () => {
    await start(scheduled('sh-port'));
    const pod = node.node.pods[1] ?? assert.fail();
    for (const address of [CLUSTER_IP, CLUSTER_IP6]) {
      const byPort = async (): Promise<readonly string[]> => {
        await node.run('conntrack', '-F');
        const ports = Array.from({ length: 12 }, (_, index) => 42_000 + index);
        const results = await Promise.all(
          ports.map((sourcePort) => probe(testbed, pod, { protocol: 'UDP', address, port: 80, sourcePort })),
        );
        return results.map(({ outcome, backends }) => `${outcome} ${Object.keys(backends).join()}`);
      };
      const first = await byPort();
      assert.ok(first.every((answer) => answer.startsWith('ok n')) && new Set(first).size > 1, first.join());
      assert.deepEqual(await byPort(), first);
    }
  });

  it('session affinity comes before it', async () => {
    await start(scheduled('sh', { sessionAffinity: 'ClientIP' }));
    assert.equal((await answers(testbed.outside, [VIP, 80])).length, 1);
    assert.match(await node.run('nft', 'list', 'map', 'ip', 'switchyard', 'affinity'), /203\.0\.113\.|172\.18\.0\./);
  });

  it('changes with the annotation, in place', async () => {
    await start(scheduled('random'));
    const pod = node.node.pods[1] ?? assert.fail();
    assert.ok((await answers(pod, [CLUSTER_IP, 80], 40)).length > 1);
    node.put(scheduled('sh'));
    await node.update();
    assert.equal((await answers(pod, [CLUSTER_IP, 80], 40)).length, 1);
    node.put(scheduled('lru'));
    await node.update();
    assert.ok((await answers(pod, [CLUSTER_IP, 80], 40)).length > 1);
  });

  it('stays readable for the nft program', async () => {
    await start(scheduled('sh'));
    node.put(scheduled('sh-port', { externalTrafficPolicy: 'Local' }));
    await node.update();
    const text = await node.run('nft', '--terse', 'list', 'ruleset');
    assert.match(text, /jhash ip saddr mod 512 seed 0x[0-9a-f]+ map @endpoints/);
    assert.match(text, /jhash ip6 saddr \. th sport mod 512 seed 0x[0-9a-f]+ offset 65536 map @node-port-endpoints/);
  });
});

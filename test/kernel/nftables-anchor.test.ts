import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createAnchor } from '../../src/kernel/anchor.ts';
import type { Anchor } from '../../src/kernel/anchor.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { probe, TrafficLoad } from '../../src/sandbox/traffic/traffic.ts';
import { Worker } from '../../src/sandbox/traffic/worker.ts';
import type { TargetReport } from '../../src/sandbox/traffic/traffic.ts';
import { createTestbed, service, slices } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

const VIPS = ['10.96.0.10', 'fd00:96::10'] as const;
const FLOWS = 4;
const DEADLINE_MS = 10_000;

describe('the anchor', () => {
  let testbed: Testbed;
  let node: NftablesNode;
  let anchor: Anchor;
  before(async () => {
    testbed = await createTestbed();
    node = new NftablesNode(testbed);
    const remote = testbed.node('n2').pods[0] ?? assert.fail();
    node.put(service('web', VIPS), slices('web', [remote]));
    anchor = createAnchor({ netns: node.node.netnsPath });
  });
  after(async () => {
    node?.dataplane.close();
    anchor?.close();
    await testbed?.destroy();
  });

  /** Flows from a pod through the ClusterIPs: TCP and UDP, both families. */
  async function holdFlows(): Promise<TrafficLoad> {
    const pod = testbed.node('n1').pods[0] ?? assert.fail();
    const targets = (['TCP', 'UDP'] as const).flatMap((protocol) =>
      VIPS.map((address) => ({
        name: `${protocol} ${address}`,
        protocol,
        address,
        port: 80,
        backends: ['n2-p1'],
        perSecond: 0,
        held: FLOWS,
      })),
    );
    return TrafficLoad.start(testbed, pod, { targets, timeoutMs: 1_000, heldIntervalMs: 20 });
  }

  async function untilReported(load: TrafficLoad, isReached: (targets: readonly TargetReport[]) => boolean) {
    for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; await delay(20)) {
      const { targets } = await load.report();
      if (isReached(targets)) return;
    }
    assert.fail(`not reached: ${JSON.stringify(await load.report())}`);
  }

  const allOpen = (targets: readonly TargetReport[]) => targets.every(({ heldOpen }) => heldOpen === FLOWS);

  it('holds connection tracking: translated flows survive the last other rules, and not without it', async () => {
    await anchor.ensure();
    await node.sync();
    const load = await holdFlows();
    await untilReported(load, allOpen);

    await node.dataplane.remove();
    const before = (await load.report()).targets.map(({ heldExchanges }) => heldExchanges);
    await untilReported(
      load,
      (targets) => allOpen(targets) && targets.every(({ heldExchanges }, i) => heldExchanges > (before[i] ?? 0) + 100),
    );
    assert.doesNotMatch(await node.run('nft', 'list', 'ruleset'), /dnat/);

    await anchor.remove();
    await untilReported(load, (targets) => targets.every(({ outcomes }) => outcomes['broken-flow'] >= FLOWS));
    await load.stop();
  });

  it('drops what comes in from elsewhere with a loopback address, which route_localnet would let in', async () => {
    const { outside } = testbed;
    await Worker.in(testbed, node.node).call('listen', {
      listeners: [{ protocol: 'UDP', addresses: ['127.0.0.1', node.node.address], port: 9000, identity: 'private' }],
    });
    const allow = ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet'];
    for (const host of [node.node, outside]) await testbed.exec(host, allow);
    await testbed.exec(outside, ['ip', 'addr', 'flush', 'dev', 'lo']);
    await testbed.route(outside, '127.0.0.0/8', node.node);
    const reach = async (address: string, from: Host = outside) =>
      (await probe(testbed, from, { protocol: 'UDP', address, port: 9000, timeoutMs: 500 })).outcome;

    assert.equal(await reach('127.0.0.1'), 'ok', 'the danger is real');
    await anchor.ensure();
    assert.equal(await reach('127.0.0.1'), 'timed-out');
    assert.equal(await reach(node.node.address), 'ok');
    assert.equal(await reach('127.0.0.1', node.node), 'ok');
    await anchor.remove();
  });

  it('is made once, completed where it is damaged, and removed without a trace', async () => {
    await anchor.ensure();
    const made = await node.run('nft', '-a', 'list', 'ruleset');
    await anchor.ensure();
    assert.equal(await node.run('nft', '-a', 'list', 'ruleset'), made);

    await node.run('nft', 'flush', 'chain', 'ip', 'switchyard-anchor', 'hold-conntrack');
    await node.run('nft', 'delete', 'table', 'ip6', 'switchyard-anchor');
    await anchor.ensure();
    const withoutHandles = (text: string) => text.replaceAll(/ # handle \d+/g, '');
    assert.equal(withoutHandles(await node.run('nft', '-a', 'list', 'ruleset')), withoutHandles(made));

    assert.equal(await anchor.isPresent(), true);
    await anchor.remove();
    await anchor.remove();
    assert.equal(await anchor.isPresent(), false);
    assert.equal(await node.run('nft', 'list', 'ruleset'), '');
  });
});

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { AffinityEntry } from '../../src/core/service/affinity.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { createTestbed, NodeUnderTest, nodePorts, service, slices, type Target } from './iptables-fixture.ts';
import { NftablesNode } from './nftables-fixture.ts';

const CLUSTER_IPS = ['10.96.0.70', 'fd00:96::70'] as const;
const NODE_PORT = 30097;
const TIMEOUT_SECONDS = 10_800;
type Mode = NodeUnderTest | NftablesNode;

for (const flavour of ['nft', 'legacy'] as const) {
  describe(`session affinity through mode switches, iptables-${flavour}`, () => {
    let testbed: Testbed;
    let iptables: NodeUnderTest;
    let nftables: NftablesNode;
    before(async () => {
      testbed = await createTestbed();
    });
    after(() => testbed?.destroy());
    beforeEach(() => {
      iptables = new NodeUnderTest(testbed, flavour);
      nftables = new NftablesNode(testbed);
      serve(testbed.pods);
    });
    afterEach(async () => {
      for (const { dataplane } of [iptables, nftables]) {
        await dataplane.remove();
        dataplane.close();
      }
    });

    function serve(pods: readonly Host[]): void {
      const sticky = service('sticky', CLUSTER_IPS, { ...nodePorts(NODE_PORT), sessionAffinity: 'ClientIP' });
      for (const mode of [iptables, nftables]) mode.put(sticky, slices('sticky', pods));
    }

    /** Who answers one connection. */
    async function answer(mode: Mode, from: Host, target: Target): Promise<string> {
      const { outcome, backends } = await mode.probe(from, 'TCP', target);
      return outcome === 'ok' ? Object.keys(backends).join() : outcome;
    }

    /** Who answers each client, by each way in. */
    async function answers(mode: Mode): Promise<Readonly<Record<string, string>>> {
      const [first, second] = testbed.node('n1').pods;
      assert.ok(first !== undefined && second !== undefined);
      const { address, address6 } = testbed.node('n1');
      const targets: readonly Target[] = [
        [CLUSTER_IPS[0], 80],
        [CLUSTER_IPS[1], 80],
        [address, NODE_PORT],
        [address6, NODE_PORT],
      ];
      const seen: Record<string, string> = {};
      for (const from of [first, second, testbed.outside]) {
        for (const target of targets) seen[`${from.name} to ${target.join(' ')}`] = await answer(mode, from, target);
      }
      return seen;
    }

    async function exported(mode: Mode): Promise<readonly AffinityEntry[]> {
      const memory = await mode.dataplane.exportAffinity?.(mode.take().snapshot);
      return memory?.entries ?? assert.fail('no memory');
    }

    async function carry(from: Mode, to: Mode): Promise<void> {
      await to.dataplane.importAffinity?.(to.take().snapshot, await exported(from));
    }

    /** As the agent does it. */
    async function change(from: Mode, to: Mode): Promise<void> {
      await carry(from, to);
      await to.sync();
      await carry(from, to);
      await carry(from, to);
      await from.dataplane.remove();
    }

    it('a client keeps its backend from iptables to nftables and back', async () => {
      await iptables.sync();
      const before = await answers(iptables);
      assert.ok(
        Object.values(before).every((name) => /^n\d-p\d$/.test(name)),
        JSON.stringify(before),
      );
      await change(iptables, nftables);
      assert.deepEqual(await answers(nftables), before);
      await change(nftables, iptables);
      assert.deepEqual(await answers(iptables), before);
    });

    it('a client that came while both stood keeps its backend', async () => {
      await iptables.sync();
      await carry(iptables, nftables);
      await nftables.sync();
      const before = await answers(nftables);
      await carry(iptables, nftables);
      await iptables.dataplane.remove();
      assert.deepEqual(await answers(nftables), before);
      await iptables.sync();
      await carry(nftables, iptables);
      await nftables.dataplane.remove();
      assert.deepEqual(await answers(iptables), before);
    });

    it('iptables mode knows a client from its own first packet on, and nothing leads there before', async () => {
      await nftables.sync();
      const before = await answers(nftables);
      const entries = await exported(nftables);
      await nftables.dataplane.remove();
      const imported = await iptables.dataplane.importAffinity?.(iptables.take().snapshot, entries);
      assert.deepEqual(imported, { taken: entries.length, leftOut: 0 });
      assert.doesNotMatch(await iptables.run(`iptables-${flavour}-save`), /^-A (PREROUTING|OUTPUT|INPUT|FORWARD) /m);
      await iptables.sync();
      assert.deepEqual(await answers(iptables), before);
    });

    it('a client keeps its backend when nftables mode replaces its table', async () => {
      await nftables.sync();
      const before = await answers(nftables);
      for (const family of ['ip', 'ip6']) {
        const hook = '{ type filter hook input priority 7; }';
        await nftables.run('nft', `add chain ${family} switchyard foreign ${hook}`);
      }
      await nftables.sync();
      assert.doesNotMatch(await nftables.run('nft', 'list', 'ruleset'), /foreign/);
      assert.deepEqual(await answers(nftables), before);
    });

    it('says how long each client has left', async () => {
      await iptables.sync();
      await answers(iptables);
      await carry(iptables, nftables);
      for (const mode of [iptables, nftables]) {
        const entries = await exported(mode);
        // Two pods and the outside client, over two families.
        assert.equal(entries.length, 6, JSON.stringify(entries));
        for (const { remainingSeconds } of entries) {
          assert.ok(
            remainingSeconds <= TIMEOUT_SECONDS && remainingSeconds > TIMEOUT_SECONDS - 120,
            `${remainingSeconds}`,
          );
        }
      }
    });

    it('leaves out what is gone, and counts it', async () => {
      await iptables.sync();
      await answers(iptables);
      const entries = await exported(iptables);
      const gone = entries[0]?.backend.address ?? assert.fail();
      const isGone = (pod: Host): boolean => pod.address === gone || pod.address6 === gone;
      const left = testbed.pods.filter((pod) => !isGone(pod)).flatMap(({ address, address6 }) => [address, address6]);
      serve(testbed.pods.filter((pod) => !isGone(pod)));
      const stays = entries.filter(({ backend }) => left.includes(backend.address));
      assert.ok(stays.length < entries.length);
      for (const mode of [nftables, iptables]) {
        await mode.sync();
        const imported = await mode.dataplane.importAffinity?.(mode.take().snapshot, entries);
        assert.deepEqual(imported, { taken: stays.length, leftOut: entries.length - stays.length });
        assert.equal((await exported(mode)).length, stays.length);
      }
    });

    it('iptables moves a client that another mode has sent elsewhere since', async () => {
      await iptables.sync();
      const [first, second] = testbed.pods;
      assert.ok(first !== undefined && second !== undefined);
      const entryFor = ({ address }: Host): AffinityEntry => ({
        key: 'test/sticky:tcp/TCP@IPv4',
        client: '203.0.113.7',
        backend: { address, port: 8080 },
        remainingSeconds: 600,
      });
      for (const pod of [first, second, first]) {
        await iptables.dataplane.importAffinity?.(iptables.take().snapshot, [entryFor(pod)]);
        assert.deepEqual(
          (await exported(iptables)).map(({ client, backend }) => [client, backend]),
          [['203.0.113.7', { address: pod.address, port: 8080 }]],
        );
      }
    });

    it('iptables takes as many clients as a list holds, those with the longest time left', async () => {
      await iptables.sync();
      const backend = { address: testbed.pods[0]?.address ?? assert.fail(), port: 8080 };
      const entries = Array.from({ length: 150 }, (_, index): AffinityEntry => ({
        key: 'test/sticky:tcp/TCP@IPv4',
        client: `203.0.113.${index}`,
        backend,
        remainingSeconds: 1_000 + index,
      }));
      const imported = await iptables.dataplane.importAffinity?.(iptables.take().snapshot, entries);
      assert.deepEqual(imported, { taken: 100, leftOut: 50 });
      const clients = (await exported(iptables)).map(({ client }) => client);
      assert.deepEqual(
        clients.toSorted(),
        entries
          .slice(50)
          .map(({ client }) => client)
          .toSorted(),
      );
    });
  });
}

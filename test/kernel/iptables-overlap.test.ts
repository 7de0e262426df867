import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createAnchor } from '../../src/kernel/anchor.ts';
import { createNftablesDataplane } from '../../src/kernel/dataplane-nftables.ts';
import { FLAVOURS } from '../../src/kernel/iptables/tool.ts';
import type { Testbed } from '../../src/sandbox/net/testbed.ts';
import { TrafficLoad, type LoadReport, type LoadTarget } from '../../src/sandbox/traffic/traffic.ts';
import { createTestbed, nodePorts, NodeUnderTest, service, slices } from './iptables-fixture.ts';

const ROUNDS = 4;
const CONNECTIONS_PER_STEP = 12;
const DEADLINE_MS = 20_000;

const attempts = (report: LoadReport): number => report.targets.reduce((sum, target) => sum + target.attempts, 0);

/** Returns when the load has begun `CONNECTIONS_PER_STEP` more connections per target. */
async function letTrafficFlow(loads: readonly TrafficLoad[]): Promise<void> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  await Promise.all(
    loads.map(async (load) => {
      const first = await load.report();
      const enough = attempts(first) + CONNECTIONS_PER_STEP * first.targets.length;
      while (attempts(await load.report()) < enough) await pause(20, undefined, { signal: deadline });
    }),
  );
}

function targetsOf(testbed: Testbed): Record<'pod' | 'node' | 'outside', LoadTarget[]> {
  const n1 = testbed.node('n1');
  const pod = n1.pods[1] ?? assert.fail();
  const both = (name: string, to: Pick<LoadTarget, 'address' | 'port' | 'backends'>, source?: string): LoadTarget[] =>
    (['TCP', 'UDP'] as const).map((protocol) => ({
      name: `${name} ${protocol}`,
      protocol,
      ...to,
      ...(source === undefined ? {} : { source }),
      perSecond: 60,
      held: 2,
    }));
  const web = ['n1-p1', 'n2-p1'];
  return {
    pod: [
      ...both('pod to ClusterIP', { address: '10.96.0.10', port: 80, backends: web }, pod.address),
      ...both('pod to ClusterIP, IPv6', { address: 'fd00:96::10', port: 80, backends: web }, pod.address6),
    ],
    node: both('node to ClusterIP', { address: '10.96.0.10', port: 80, backends: web }),
    outside: [
      ...both('outside to NodePort', { address: n1.address, port: 30080, backends: web }),
      ...both(
        'outside to a NodePort of a remote backend',
        { address: n1.address, port: 30081, backends: ['n2-p2'] },
        n1.address,
      ),
    ],
  };
}

for (const flavour of FLAVOURS) {
  describe(`iptables mode beside nftables mode, ${flavour}`, () => {
    it('comes and goes in either order without a packet refused, lost or unmasqueraded', async () => {
      await using testbed = await createTestbed();
      const n1 = testbed.node('n1');
      const [own, remote, other] = [n1.pods[0], ...testbed.node('n2').pods];
      assert.ok(own !== undefined && remote !== undefined && other !== undefined);
      const node = new NodeUnderTest(testbed, flavour);
      node.put(
        service('web', ['10.96.0.10', 'fd00:96::10'], nodePorts(30080)),
        slices('web', [own, remote]),
        service('far', ['10.96.0.11', 'fd00:96::11'], nodePorts(30081)),
        slices('far', [other]),
        service('empty', ['10.96.0.12', 'fd00:96::12'], nodePorts(30082)),
      );
      const { snapshot } = node.take();
      using anchor = closing(createAnchor({ netns: n1.netnsPath }));
      using nftables = closing(createNftablesDataplane({ netns: n1.netnsPath }));
      await anchor.it.ensure();
      await node.dataplane.sync(snapshot);

      const targets = targetsOf(testbed);
      const loads = await Promise.all(
        (
          [
            [n1.pods[1], targets.pod],
            [n1, targets.node],
            [testbed.outside, targets.outside],
          ] as const
        ).map(([host, list]) =>
          TrafficLoad.start(testbed, host ?? assert.fail(), { targets: list, timeoutMs: 3_000, heldIntervalMs: 20 }),
        ),
      );
      for (let round = 0; round < ROUNDS; round++) {
        await nftables.it.sync(snapshot);
        await letTrafficFlow(loads);
        await node.dataplane.remove();
        await letTrafficFlow(loads);
        await node.dataplane.sync(snapshot);
        await letTrafficFlow(loads);
        await nftables.it.remove();
        await letTrafficFlow(loads);
      }
      for (const load of loads) {
        const report = await load.stop();
        assert.deepEqual(report.failures, []);
        assert.equal(report.synRetransmits, 0, 'no connection waited for a second SYN');
        for (const target of report.targets)
          assert.ok((target.outcomes.ok ?? 0) > ROUNDS * CONNECTIONS_PER_STEP, target.name);
      }
    });
  });
}

function closing<T extends { close(): void }>(it: T): Disposable & { readonly it: T } {
  return { it, [Symbol.dispose]: () => it.close() };
}

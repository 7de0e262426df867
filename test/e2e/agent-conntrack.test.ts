import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { NETWORK, type Host } from '../../src/sandbox/net/testbed.ts';
import { probe, TrafficLoad } from '../../src/sandbox/traffic/traffic.ts';
import { AgentGround, CLUSTER_IP, eventually, NODE_PORT } from './agent-ground.ts';

const TIMEOUT_MS = 120_000;
const LATE_IP = '10.96.0.77';
const ANSWER_MS = 300;
/** Refused or unanswered: a refused packet of the node itself is an error of sending. */
const NOBODY = 'nobody';
const WEB = '/api/v1/namespaces/default/services/web';
const LATE = '/api/v1/namespaces/default/services/late';
const NAMES = ['pod to ClusterIP', 'node to ClusterIP', 'outside to NodePort'] as const;

/** All exchanges of one client leave from one port, so they are one flow that conntrack keeps alive. */
for (const mode of ['iptables', 'nftables'] as const) {
  describe(`UDP clients that keep their source port, ${mode} mode`, { timeout: TIMEOUT_MS }, () => {
    let ground: AgentGround;
    let [a, b]: Host[] = [];
    let sourcePort = 40_000;

    before(async () => {
      ground = await AgentGround.create();
      [a, b] = [ground.testbed.pods[1], ground.testbed.pods[2]] as [Host, Host];
      // Packets to a VIP without rules leave the node, as they do where a default route is and nobody drops them: without
      // ServiceCIDRs.
      await ground.remove('/apis/networking.k8s.io/v1/servicecidrs/kubernetes');
      await ground.testbed.route(ground.node, NETWORK.serviceCidr, ground.testbed.fabric);
      await ground.setMode(mode);
      ground.startAgent();
      await ground.untilServing(mode);
    });
    after(() => ground.destroy());

    beforeEach(async () => {
      sourcePort += 1;
      await ground.setEndpoints([a ?? assert.fail()]);
    });
    afterEach(async (context) => {
      if (!('passed' in context) || context.passed === false) console.error(await ground.agentLog());
    });

    /** Who answers the client at `address`. */
    async function ask(from: Host, address: string, port: number): Promise<string> {
      const spec = { protocol: 'UDP', address, port, sourcePort, timeoutMs: ANSWER_MS } as const;
      const { outcome, backends } = await probe(ground.testbed, from, spec);
      return outcome === 'ok' ? (Object.keys(backends)[0] ?? '') : NOBODY;
    }

    const until = (expected: string, from: Host, [address, port]: readonly [string, number]) =>
      eventually(`${from.name} at ${address} port ${port} gets ${expected}`, async () =>
        (await ask(from, address, port)) === expected ? true : undefined,
      );

    const clients = () =>
      ({
        'pod to ClusterIP': { from: ground.testbed.pods[0], to: [CLUSTER_IP, 80] },
        'node to ClusterIP': { from: ground.node, to: [CLUSTER_IP, 80] },
        'outside to NodePort': { from: ground.testbed.outside, to: [ground.node.address, NODE_PORT] },
      }) as const;

    for (const name of NAMES) {
      it(`follow a change of endpoints, and none at all: ${name}`, async () => {
        const { from = assert.fail(), to } = clients()[name];
        await until('n1-p2', from, to);
        await ground.setEndpoints([b ?? assert.fail()]);
        await until('n2-p1', from, to);
        await ground.setEndpoints([]);
        await until(NOBODY, from, to);
        await ground.setEndpoints([a ?? assert.fail()]);
        await until('n1-p2', from, to);
      });
    }

    it('follow a Service that is deleted and made again', async () => {
      const { from = assert.fail(), to } = clients()['pod to ClusterIP'];
      await until('n1-p2', from, to);
      await ground.remove(WEB);
      await eventually('the old backend is not reached any more', async () =>
        (await ask(from, ...to)) === 'n1-p2' ? undefined : true,
      );
      await ground.setEndpoints([b ?? assert.fail()]);
      await ground.createWeb();
      await until('n2-p1', from, to);
    });

    it('reach a Service that they addressed before it existed', async () => {
      const from = ground.testbed.pods[0] ?? assert.fail();
      const entries = () => ground.testbed.exec(ground.node, ['conntrack', '-L', '-p', 'udp', '-d', LATE_IP]);
      assert.notEqual(await ask(from, LATE_IP, 80), 'n1-p2');
      assert.match((await entries()).stdout, new RegExp(`sport=${sourcePort} `), 'the flow is tracked, untranslated');
      const pending = until('n1-p2', from, [LATE_IP, 80]);
      await ground.createService('late', { clusterIP: LATE_IP });
      await ground.setEndpoints([a ?? assert.fail()], 'late');
      await pending;
      await ground.remove(LATE);
    });

    it('leave TCP connections alone', async () => {
      const { from = assert.fail(), to } = clients()['pod to ClusterIP'];
      const target = { name: 'tcp', protocol: 'TCP', address: CLUSTER_IP, port: 80, backends: [] } as const;
      const load = await TrafficLoad.start(ground.testbed, from, {
        targets: [{ ...target, perSecond: 0, held: 8 }],
        timeoutMs: 2_000,
        heldIntervalMs: 20,
      });
      await until('n1-p2', from, to);
      for (const [pod, name] of [
        [b, 'n2-p1'],
        [a, 'n1-p2'],
      ] as const) {
        await ground.setEndpoints([pod ?? assert.fail()]);
        await until(name, from, to);
      }
      const { targets, failures } = await load.stop();
      assert.deepEqual(failures, []);
      assert.equal(targets[0]?.outcomes.ok, 8);
    });
  });
}

describe('UDP clients that keep their source port while the mode changes', { timeout: TIMEOUT_MS }, () => {
  it('follow each change of endpoints, whichever modes stand in the kernel', async () => {
    const ground = await AgentGround.create();
    try {
      await ground.setMode('iptables');
      ground.startAgent();
      await ground.untilServing('iptables');
      const [from = assert.fail(), ...pods] = ground.testbed.pods;
      for (let round = 0; round < 8; round += 1) {
        const pod = pods[round % 2] ?? assert.fail();
        const mode = round % 4 < 2 ? 'nftables' : 'iptables';
        await Promise.all([ground.setMode(mode), ground.setEndpoints([pod])]);
        const spec = { protocol: 'UDP', address: CLUSTER_IP, port: 80, sourcePort: 40_000, timeoutMs: 300 } as const;
        await eventually(`round ${round}: ${pod.name} answers`, async () =>
          (await probe(ground.testbed, from, spec)).backends[pod.name] === 1 ? true : undefined,
        );
      }
    } catch (error) {
      console.error(await ground.agentLog());
      throw error;
    } finally {
      await ground.destroy();
    }
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ImplementedMode, Mode } from '../../src/core/mode.ts';
import { TrafficLoad } from '../../src/sandbox/traffic/traffic.ts';
import { AgentGround, eventually } from './agent-ground.ts';
import { KubeProxyOfNode, kubeProxyTraces, untilPhase, writeProfile } from './takeover.ts';

const STICKY_IP = '10.96.0.12';

interface Case {
  readonly from: Mode;
  readonly flavour?: 'nft' | 'legacy';
  readonly to: ImplementedMode;
  readonly kill?: boolean;
}

const MORE: readonly Case[] = [
  { from: 'iptables', flavour: 'nft', to: 'nftables' },
  { from: 'iptables', flavour: 'legacy', to: 'iptables' },
  { from: 'nftables', to: 'nftables', kill: true },
];
const CASES: readonly Case[] = [
  { from: 'iptables', flavour: 'legacy', to: 'nftables', kill: true },
  { from: 'iptables', flavour: 'nft', to: 'iptables' },
  { from: 'nftables', to: 'iptables', kill: true },
  ...(process.env['SWITCHYARD_TAKEOVERS'] === 'all' ? MORE : []),
];

const STICKY_CASES: readonly Case[] = [
  { from: 'iptables', to: 'nftables' },
  { from: 'nftables', to: 'nftables' },
  ...(process.env['SWITCHYARD_TAKEOVERS'] === 'all' ? [{ from: 'nftables', to: 'iptables' } as const] : []),
];

/** What belongs to others and must be there afterwards, as it was. */
const OTHERS = `*filter
:KUBE-KUBELET-CANARY - [0:0]
:CNI-FORWARD - [0:0]
-A CNI-FORWARD -s 203.0.113.7/32 -j DROP
-A FORWARD -j CNI-FORWARD
COMMIT
*nat
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-DROP - [0:0]
-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000
COMMIT
`;

/** Resolves when kube-proxy serves in this mode, and nothing of ours is left. */
async function giveBack(ground: AgentGround, kubeProxy: KubeProxyOfNode, mode: Mode): Promise<void> {
  await writeProfile(ground, { mode: 'nftables', kubeProxy: { policy: 'GiveBack' } });
  kubeProxy.start({ mode });
  await eventually('nothing of ours is left', async () =>
    (await ground.rules()) === '' && (await ground.iptablesChains()).length === 0 ? true : undefined,
  );
}

describe('taking over from kube-proxy and giving back, under load', { timeout: 600_000 }, () => {
  for (const { from, flavour = 'nft', to, kill = false } of CASES) {
    const name = `kube-proxy in ${from} mode${from === 'iptables' ? ` (${flavour})` : ''}, ours in ${to} mode`;
    it(`${name}${kill ? ', the agent killed at every step' : ''}: loses nothing, leaves nothing`, async () => {
      const ground = await AgentGround.create();
      const kubeProxy = new KubeProxyOfNode(ground);
      const restart = async () => {
        if (!kill) return;
        await ground.endAgent('SIGKILL');
        ground.startAgent();
      };
      try {
        kubeProxy.start({ mode: from, flavour });
        await kubeProxy.untilServing();
        await ground.testbed.exec(ground.node, [`iptables-${flavour}-restore`, '--noflush'], { input: OTHERS });
        await ground.startLoad();
        await writeProfile(ground, { mode: to });
        ground.startAgent();
        await untilPhase(ground, 'AwaitHandover');
        await restart();
        await untilPhase(ground, 'AwaitHandover');
        await kubeProxy.stop();
        await restart();
        await untilPhase(ground, 'Committed');
        await ground.untilServing(to);
        await eventually('nothing of kube-proxy is left', async () => {
          const left = await kubeProxyTraces(ground);
          const isGone = left.every((each) => /^KUBE-(FIREWALL|KUBELET-CANARY|MARK-DROP)$/.test(each));
          return isGone ? true : undefined;
        });
        const { stdout } = await ground.testbed.exec(ground.node, [`iptables-${flavour}-save`]);
        for (const line of OTHERS.split('\n').filter((each) => each.startsWith('-A')))
          assert.ok(stdout.includes(line), line);
        assert.equal(/-A INPUT -j KUBE-FIREWALL/.test(stdout), from === 'iptables');

        await writeProfile(ground, { mode: to, kubeProxy: { policy: 'GiveBack' } });
        await restart();
        kubeProxy.start({ mode: from, flavour, startDelayMs: 1_000 });
        await eventually('nothing of ours is left', async () =>
          (await ground.rules()) === '' && (await ground.iptablesChains()).length === 0 ? true : undefined,
        );
        const { attempts, lost, failed, resentSyns } = await ground.stopLoad();
        assert.deepEqual({ lost, resentSyns, failed }, { lost: 0, resentSyns: 0, failed: [] });
        assert.ok(attempts > 200, `${attempts} attempts`);
      } catch (error) {
        console.error((await ground.agentLog()).split('\n').slice(-40).join('\n'));
        throw error;
      } finally {
        await kubeProxy.stop();
        await ground.destroy();
      }
    });
  }

  for (const { from, to } of STICKY_CASES) {
    it(`every client with affinity keeps its backend from kube-proxy in ${from} mode to ours in ${to} mode and back`, async () => {
      const ground = await AgentGround.create();
      const kubeProxy = new KubeProxyOfNode(ground);
      const { testbed, node } = ground;
      try {
        await ground.createService('sticky', { clusterIP: STICKY_IP, sessionAffinity: 'ClientIP' });
        await ground.setEndpoints(testbed.pods, 'sticky');
        kubeProxy.start({ mode: from });
        await kubeProxy.untilServing();
        const target = { address: STICKY_IP, port: 80, backends: testbed.pods.map(({ name }) => name) };
        const targets = (['TCP', 'UDP'] as const).map((protocol) => {
          return { ...target, name: protocol, protocol, perSecond: 20, held: 0, isSticky: true };
        });
        const start = { timeoutMs: 3_000, heldIntervalMs: 50, targets };
        const loads = await Promise.all([...node.pods, node].map((host) => TrafficLoad.start(testbed, host, start)));
        await writeProfile(ground, { mode: to });
        ground.startAgent();
        await untilPhase(ground, 'AwaitHandover');
        await kubeProxy.stop();
        await ground.untilServing(to);
        // Beside our iptables mode kube-proxy decides as soon as its rules are there, before anybody can tell it of clients.
        if (to === 'nftables') await giveBack(ground, kubeProxy, from);
        const attempts = async () => {
          const reports = await Promise.all(loads.map((load) => load.report()));
          return reports.flatMap(({ targets }) => targets).reduce((sum, target) => sum + target.attempts, 0);
        };
        const before = await attempts();
        await eventually('clients come again', async () => ((await attempts()) > before + 60 ? true : undefined));
        for (const load of loads) assert.deepEqual((await load.stop()).failures, []);
      } finally {
        await kubeProxy.stop();
        await ground.destroy();
      }
    });
  }
});

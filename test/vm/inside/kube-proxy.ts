import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Mode } from '../../../src/core/mode.ts';
import { NETWORK, type Testbed } from '../../../src/sandbox/net/testbed.ts';
import { TrafficLoad, type LoadReport, type LoadTarget } from '../../../src/sandbox/traffic/traffic.ts';
import { createTestbed, nodePorts, service, slices } from '../../kernel/iptables-fixture.ts';
import { AgentNode } from './agent-node.ts';

const CASES: readonly { readonly from: Mode; readonly to: Mode }[] = [
  { from: 'ipvs', to: 'nftables' },
  { from: 'nftables', to: 'ipvs' },
  { from: 'ipvs', to: 'ipvs' },
];
const CONFIG = { ipvs: { udpTimeout: '5s' } };
const WEB = ['10.96.0.10', 'fd00:96::10'] as const;
const STICKY = ['10.96.0.12', 'fd00:96::12'] as const;
/** Of somebody else: kube-proxy leaves it alone for its excludeCIDRs. */
const FOREIGN = '203.0.113.9:80';
/** How much of IPv4's default of five minutes a UDP flow may need to end. */
const SHORT_TIMEOUTS = ['ipvsadm', '--set', '900', '5', '5'];

describe('taking over from kube-proxy and giving back, with IPVS', () => {
  let testbed: Testbed;
  let agent: AgentNode;
  let loads: readonly TrafficLoad[] = [];
  let kubeProxy: ChildProcess | undefined;
  before(async () => {
    testbed = await createTestbed();
    agent = await AgentNode.create(testbed);
    const spec = { ...nodePorts(30080), type: 'LoadBalancer', externalIPs: ['192.0.2.10'] };
    agent.put(service('web', WEB, spec, ['192.0.2.11']), slices('web', testbed.pods));
    agent.put(service('sticky', STICKY, { sessionAffinity: 'ClientIP' }), slices('sticky', testbed.pods));
  });
  afterEach(async () => {
    for (const load of loads) await load.stop();
    loads = [];
    await stopKubeProxy();
    await agent.cleanUp();
    await agent.run('sh', '-c', 'ipvsadm -C; ip link del kube-ipvs0; nft flush ruleset; ipset destroy; true');
  });
  after(async () => {
    kubeProxy?.kill('SIGKILL');
    await agent?.destroy();
    await testbed?.destroy();
  });

  const startKubeProxy = (mode: Mode): void => {
    const args = ['--kubeconfig', agent.kubeconfig, '--mode', mode, '--node-name', 'n1'];
    const argv = [process.execPath, 'test/fakes/kube-proxy/main.ts', ...args, '--cluster-cidr', NETWORK.podCidr];
    kubeProxy = testbed.spawn(agent.node, argv, { stdio: ['ignore', 'inherit', 'inherit'] });
  };
  const stopKubeProxy = async (): Promise<void> => {
    const running = kubeProxy;
    kubeProxy = undefined;
    if (running === undefined) return;
    const ended = once(running, 'exit');
    running.kill('SIGTERM');
    await ended;
  };
  const startLoads = async (): Promise<void> => {
    const n1 = testbed.node('n1');
    const backends = testbed.pods.map(({ name }) => name);
    const both = (name: string, address: string, port: number, isSticky = false): LoadTarget[] =>
      (['TCP', 'UDP'] as const).map((protocol) => {
        const target = { address, port, protocol, backends, perSecond: 2, held: isSticky ? 0 : 1, isSticky };
        return { name: `${name} ${protocol}`, ...target };
      });
    const inside = [
      ...both('ClusterIP', WEB[0], 80),
      ...both('ClusterIP over IPv6', WEB[1], 80),
      ...both('sticky ClusterIP', STICKY[0], 80, true),
      ...both('sticky ClusterIP over IPv6', STICKY[1], 80, true),
    ];
    const outside = [...both('NodePort', n1.address, 30080), ...both('external IP', '192.0.2.10', 80)];
    const pod = n1.pods[1] ?? assert.fail();
    const pairs = [
      { from: pod, targets: inside },
      { from: n1, targets: both('ClusterIP from the node', WEB[0], 80) },
      { from: testbed.outside, targets: outside },
    ];
    loads = await Promise.all(
      pairs.map(({ from, targets }) =>
        TrafficLoad.start(testbed, from, { targets, timeoutMs: 15_000, heldIntervalMs: 200 }),
      ),
    );
  };
  const attempts = ({ targets }: LoadReport): number => targets.reduce((sum, target) => sum + target.attempts, 0);
  const letTrafficFlow = async (): Promise<void> => {
    for (const load of loads) {
      const first = await load.report();
      const enough = attempts(first) + 3 * first.targets.length;
      await agent.until('traffic flows', async () => attempts(await load.report()) >= enough);
    }
  };
  const stopLoads = async (): Promise<void> => {
    const reports = await Promise.all(loads.map((load) => load.stop()));
    loads = [];
    assert.deepEqual(
      reports.flatMap(({ failures }) => failures),
      [],
    );
    for (const { name, outcomes } of reports.flatMap(({ targets }) => targets)) assert.ok(outcomes.ok > 0, name);
  };
  /** IPv6 comes last. */
  const untilKubeProxyServes = (): Promise<void> =>
    agent.until('kube-proxy serves', async () => {
      const rules = await agent.run('sh', '-c', 'ip6tables-save; nft list table ip6 kube-proxy 2>&1; true');
      return /-A POSTROUTING .*KUBE-POSTROUTING/.test(rules) || rules.includes(`${WEB[1]} . udp`);
    });

  for (const { from, to } of CASES) {
    it(`kube-proxy in ${from} mode, ours in ${to} mode: loses nothing, leaves nothing`, async () => {
      startKubeProxy(from);
      await untilKubeProxyServes();
      await agent.run('ipvsadm', '-A', '-t', FOREIGN, '-s', 'rr');
      await agent.run(...SHORT_TIMEOUTS);
      await startLoads();
      await letTrafficFlow();
      agent.want(to, CONFIG);
      agent.start();
      await agent.until('the agent waits', () => agent.status?.attempt?.phase === 'AwaitHandover');
      assert.equal(agent.status?.otherProxy?.mode, from);
      await letTrafficFlow();
      await stopKubeProxy();
      await agent.untilServing(to);
      await letTrafficFlow();
      await stopLoads();
      await agent.until('nothing of kube-proxy is left', async () => {
        const script =
          'iptables-save; ip6tables-save; ipset list -name; nft list tables; ip -d link show kube-ipvs0 2>&1';
        const left = await agent.run('sh', '-c', `${script}; true`);
        const hasLink = / kube-ipvs0:/.test(left) && !left.includes('alias switchyard');
        return !hasLink && !/KUBE-|table ip6? kube-proxy/.test(left);
      });
      assert.match(await agent.run('ipvsadm', '-Sn'), new RegExp(FOREIGN.replaceAll('.', '\\.')));

      if (to !== 'ipvs') await startLoads();
      agent.giveBack(to, CONFIG);
      if (to === 'ipvs') {
        await agent.until('it leaves IPVS', () => agent.status?.current?.mode === 'nftables');
        await agent.until('nothing drains', () => agent.status?.draining === undefined);
        await startLoads();
      }
      await letTrafficFlow();
      startKubeProxy(from);
      await agent.until(
        'nothing of ours serves',
        () => agent.status?.conditions?.some(({ reason }) => reason === 'Released') === true,
      );
      await letTrafficFlow();
      await stopLoads();
      assert.doesNotMatch(
        await agent.run('sh', '-c', 'iptables-save; nft list ruleset; ipset list -name'),
        /switchyard/i,
      );
    });
  }
});

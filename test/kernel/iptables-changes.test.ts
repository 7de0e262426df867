import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { createIptablesDataplane } from '../../src/kernel/dataplane-iptables.ts';
import { KernelError } from '../../src/kernel/error.ts';
import { FLAVOURS } from '../../src/kernel/iptables/tool.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { probe, TrafficLoad } from '../../src/sandbox/traffic/traffic.ts';
import { Worker } from '../../src/sandbox/traffic/worker.ts';
import {
  assertNothingWritten,
  BACKEND_PORT,
  createTestbed,
  dataplaneOptions,
  nodePorts,
  NodeUnderTest,
  service,
  slices,
} from './iptables-fixture.ts';

const IPS = ['10.96.0.10', 'fd00:96::10'];
const OTHER_IPS = ['10.96.0.20', 'fd00:96::20'];

for (const flavour of FLAVOURS) {
  describe(`changes in iptables mode, ${flavour}`, () => {
    let testbed: Testbed;
    let node: NodeUnderTest;
    let pods: readonly Host[];
    before(async () => {
      testbed = await createTestbed();
      pods = testbed.pods;
    });
    after(() => testbed?.destroy());
    beforeEach(async () => {
      node = new NodeUnderTest(testbed, flavour);
      await node.dataplane.remove();
      node.put(service('web', IPS, nodePorts(30080)), slices('web', pods.slice(0, 2)));
      await node.sync();
    });

    const dump = async (): Promise<string> => {
      const [v4, v6] = [await node.run(`iptables-${flavour}-save`), await node.run(`ip6tables-${flavour}-save`)];
      // Counters and the time of the dump are no rules.
      return `${v4}${v6}`.replaceAll(/^#.*$/gm, '').replaceAll(/\[\d+:\d+\]/g, '');
    };
    const answering = async (): Promise<readonly string[]> => {
      const result = await node.probe(testbed.outside, 'TCP', [IPS[0] ?? '', 80], 48);
      return result.outcome === 'ok' ? Object.keys(result.backends).sort() : [result.outcome];
    };

    it('follows endpoints that come and go, by updates alone', async () => {
      assert.deepEqual(await answering(), ['n1-p1', 'n1-p2']);
      node.put(slices('web', pods.slice(1, 4)));
      await node.update();
      assert.deepEqual(await answering(), ['n1-p2', 'n2-p1', 'n2-p2']);
      node.put(slices('web', []));
      await node.update();
      assert.deepEqual(await answering(), ['refused']);
      node.put(slices('web', pods.slice(0, 1)));
      await node.update();
      assert.deepEqual(await answering(), ['n1-p1']);
    });

    it('leaves nothing of a Service that is gone, and nothing else changed', async () => {
      const before = await dump();
      node.put(service('other', OTHER_IPS, nodePorts(30090)), slices('other', pods));
      await node.update();
      assert.notEqual(await dump(), before);
      node.table.deleteService(service('other', OTHER_IPS));
      await node.update();
      assert.equal(await dump(), before);
    });

    it('writes nothing when an agent restarts over its own rules', async () => {
      const before = await dump();
      const restarted = createIptablesDataplane({ netns: node.node.netnsPath, flavour });
      assertNothingWritten(await restarted.sync(node.snapshot));
      assert.equal(await dump(), before);
    });

    it('writes nothing again for a Service of every shape', async () => {
      const many = Array.from({ length: 150 }, (_, index) => ({
        ...testbed.outside,
        name: 'n2-p9',
        address: `10.244.9.${index + 1}`,
        address6: `fd00:244:9::${(index + 1).toString(16)}`,
      }));
      const spec = {
        type: 'LoadBalancer',
        sessionAffinity: 'ClientIP',
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: 30086,
        ports: [
          { name: 'tcp', protocol: 'TCP', port: 80, nodePort: 30085 },
          { name: 'udp', protocol: 'UDP', port: 80, nodePort: 30085 },
          { name: 'sctp', protocol: 'SCTP', port: 80, nodePort: 30085 },
        ],
        externalIPs: ['192.0.2.40', 'fd00:99::40'],
        loadBalancerSourceRanges: ['198.51.100.7/25', 'fd00:98::1/64'],
      };
      node.put(service('shapes', OTHER_IPS, spec, ['192.0.2.41', 'fd00:99::41']), slices('shapes', [...pods, ...many]));
      node.put(
        service('inside', ['10.96.0.21', 'fd00:96::21'], { internalTrafficPolicy: 'Local' }),
        slices('inside', many),
      );
      await node.sync();
      assertNothingWritten(await node.dataplane.sync(node.snapshot));
    });

    it('writes the same rules by sync as by updates', async () => {
      node.put(service('other', OTHER_IPS), slices('other', pods), slices('web', pods.slice(2)));
      await node.update();
      assertNothingWritten(await node.dataplane.sync(node.snapshot));
    });

    it('sends only what belongs to the change', async () => {
      for (let index = 0; index < 30; index++) {
        const ips = [`10.96.1.${index}`, `fd00:96::1:${index}`];
        node.put(service(`many${index}`, ips), slices(`many${index}`, pods));
      }
      await node.update();
      node.put(slices('many7', pods.slice(1)));
      const { written, removed } = await node.update();
      // Two ports in two families: a chain of masquerading and three choices each; and a backend's chain goes.
      assert.deepEqual({ written, removed }, { written: 4 * 5, removed: 4 });
    });

    it('finds and repairs what somebody changed', async () => {
      const wanted = await dump();
      const tool = `iptables-${flavour}`;
      const [dispatch] = (await node.run(tool, '-t', 'nat', '-S', 'SWITCHYARD-SERVICES'))
        .split('\n')
        .filter((line) => line.includes('--dport 80'));
      await node.run('sh', '-c', `${tool} -t nat ${dispatch?.replace('-A', '-D')}`);
      await node.run(tool, '-t', 'nat', '-F', 'SWITCHYARD-MARK-MASQ');
      await node.run(tool, '-t', 'nat', '-D', 'PREROUTING', '-j', 'SWITCHYARD-SERVICES');
      await node.run(tool, '-t', 'nat', '-N', 'SWITCHYARD-STRANGER');
      await node.run(tool, '-t', 'filter', '-A', 'SWITCHYARD-REFUSE', '-j', 'DROP');
      const { snapshot } = node.table.take();
      const problems = (await node.dataplane.verify(snapshot)).map(({ problem }) => problem).sort();
      assert.deepEqual(problems, ['changed', 'changed', 'missing', 'missing', 'unexpected']);
      await node.sync();
      assert.deepEqual(await answering(), ['n1-p1', 'n1-p2']);
      const sortLines = (text: string): string[] => text.split('\n').sort();
      assert.deepEqual(sortLines(await dump()), sortLines(wanted));
    });

    it('drops invalid packets unless conntrack is told to be liberal', async () => {
      const drops = async (): Promise<boolean> => (await dump()).includes('--ctstate INVALID -j DROP');
      const beLiberal = (value: '0' | '1'): Promise<string> =>
        node.run('sh', '-c', `echo ${value} > /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal`);
      assert.equal(await drops(), true);
      await beLiberal('1');
      await node.sync();
      assert.equal(await drops(), false);
      await beLiberal('0');
      await node.sync();
      assert.equal(await drops(), true);
    });

    it('lets probes of health check ports in where the firewall drops, as long as the Service has them', async () => {
      const { address } = node.node;
      const listeners = [{ protocol: 'TCP', addresses: [address], port: 31_234, identity: 'health' }] as const;
      await Worker.in(testbed, node.node).call('listen', { listeners });
      await node.run(`iptables-${flavour}`, '-P', 'INPUT', 'DROP');
      try {
        const outcome = async (): Promise<string> => {
          const target = { protocol: 'TCP', address, port: 31_234, timeoutMs: 500 } as const;
          return (await probe(testbed, testbed.outside, target)).outcome;
        };
        assert.equal(await outcome(), 'timed-out');
        const checked = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 31_234 };
        node.put(service('web', IPS, { ...nodePorts(30080), ...checked }, ['192.0.2.9']));
        await node.update();
        assert.equal(await outcome(), 'ok');
        node.put(service('web', IPS, nodePorts(30080)));
        await node.update();
        assert.equal(await outcome(), 'timed-out');
      } finally {
        await node.run(`iptables-${flavour}`, '-P', 'INPUT', 'ACCEPT');
      }
    });

    it('counts what it drops and what comes by NodePorts on localhost', async () => {
      const local = new NodeUnderTest(testbed, flavour, dataplaneOptions({ localhostNodePorts: true }));
      local.put(service('web', IPS, nodePorts(30080)), slices('web', pods.slice(0, 2)));
      await local.sync();
      const set = (path: string, value: 0 | 1): Promise<string> =>
        local.run('sh', '-c', `echo ${value} > /proc/sys/net/${path}`);
      await set('ipv4/conf/all/route_localnet', 1);
      const { outcome } = await local.probe(local.node, 'TCP', ['127.0.0.1', 30080], 5);
      assert.equal(outcome, 'ok');
      assert.deepEqual(await local.dataplane.countPackets?.(), { invalidDropped: 0, localhostNodePorts: 5 });

      // A connection that is forgotten, where none is picked up half way.
      await set('netfilter/nf_conntrack_tcp_loose', 0);
      const [from, to] = [local.node.pods[0] ?? assert.fail(), testbed.node('n2').pods[0] ?? assert.fail()];
      const target = { name: 'held', protocol: 'TCP', address: to.address, port: BACKEND_PORT, backends: [] } as const;
      const load = await TrafficLoad.start(testbed, from, {
        targets: [{ ...target, perSecond: 0, held: 1 }],
        timeoutMs: 1_000,
        heldIntervalMs: 20,
      });
      const deadline = Date.now() + 10_000;
      for (let dropped = 0; dropped === 0;) {
        assert.ok(Date.now() < deadline, 'nothing was dropped');
        await local.run('conntrack', '-D', '-p', 'tcp', '--orig-port-dst', String(BACKEND_PORT)).catch(() => '');
        dropped = (await local.dataplane.countPackets?.())?.invalidDropped ?? 0;
      }
      await load.stop();
      await set('netfilter/nf_conntrack_tcp_loose', 1);
    });

    it('leaves the rules of others alone, at every step of its life', async () => {
      await node.dataplane.remove();
      const tool = `iptables-${flavour}`;
      await node.run(tool, '-t', 'nat', '-N', 'KUBE-SERVICES');
      await node.run(
        tool,
        '-t',
        'nat',
        '-I',
        'PREROUTING',
        '-m',
        'comment',
        '--comment',
        'to us',
        '-j',
        'KUBE-SERVICES',
      );
      await node.run(tool, '-t', 'filter', '-A', 'FORWARD', '-s', '198.51.100.1', '-j', 'DROP');
      const foreign = await dump();
      const withoutOurs = async (): Promise<string> => (await dump()).replaceAll(/^.*SWITCHYARD.*\n/gm, '');
      await node.dataplane.sync(node.snapshot);
      assert.equal(await withoutOurs(), foreign);
      node.put(slices('web', pods));
      await node.update();
      assert.equal(await withoutOurs(), foreign);
      await node.dataplane.remove();
      assert.equal(await dump(), foreign);
      await node.run(tool, '-t', 'nat', '-F', 'PREROUTING');
      await node.run(tool, '-t', 'nat', '-X', 'KUBE-SERVICES');
      await node.run(tool, '-t', 'filter', '-F', 'FORWARD');
    });

    it('removes everything of ours, and may be told twice', async () => {
      assert.equal(await node.dataplane.isPresent(), true);
      await node.dataplane.remove();
      assert.doesNotMatch(await dump(), /SWITCHYARD/);
      assert.equal(await node.dataplane.isPresent(), false);
      await node.dataplane.remove();
    });

    it('says which line the kernel refused, and leaves the table as it was', async () => {
      const before = await dump();
      const { snapshot } = node.table.take();
      const [web] = snapshot.servicePorts.values();
      assert.ok(web !== undefined);
      const broken = { ...web, clusterIP: '10.96.0.300' };
      await assert.rejects(
        node.dataplane.update(snapshot, [{ key: web.key, after: broken }]),
        (error) =>
          error instanceof KernelError && /10\.96\.0\.300/.test(error.message) && /line \d+/.test(error.message),
      );
      assert.equal(await dump(), before);
    });
  });
}

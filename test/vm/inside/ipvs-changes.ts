import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createIpvsDataplane } from '../../../src/kernel/dataplane-ipvs.ts';
import type { Host, Testbed } from '../../../src/sandbox/net/testbed.ts';
import { TrafficLoad, TrafficServer } from '../../../src/sandbox/traffic/traffic.ts';
import { createTestbed, nodePorts, service, slices } from '../../kernel/iptables-fixture.ts';
import { IpvsNode } from './ipvs-node.ts';

const IPS = ['10.96.0.10', 'fd00:96::10'];
const OTHER_IPS = ['10.96.0.20', 'fd00:96::20'];
const DEADLINE_MS = 40_000;

describe('changes in IPVS mode', () => {
  let testbed: Testbed;
  let node: IpvsNode;
  let pods: readonly Host[];
  before(async () => {
    testbed = await createTestbed();
    pods = testbed.pods;
  });
  after(() => testbed?.destroy());
  beforeEach(async () => {
    node?.dataplane.close();
    node = new IpvsNode(testbed);
    await node.dataplane.remove();
    node.put(service('web', IPS, nodePorts(30080)), slices('web', pods.slice(0, 2)));
    await node.sync();
  });

  /** Everything that there is in the node's namespace, ours and others'. */
  const dump = async (): Promise<string> => {
    const parts = [
      await node.run('iptables-save'),
      await node.run('ip6tables-save'),
      await node.run('ipset', 'save', '-sorted'),
      await node.run('ipvsadm', '-Sn'),
      await node.run('ip', 'route', 'show', 'table', 'local'),
      await node.run('ip', '-6', 'route', 'show', 'table', 'local'),
    ];
    // Counters, the time of the dump and how a hash is seeded are nothing that was asked for.
    return parts
      .join('')
      .replaceAll(/^#.*$/gm, '')
      .replaceAll(/\[\d+:\d+\]/g, '')
      .replaceAll(/ (?:bucketsize|initval|hashsize) \S+/g, '')
      .split('\n')
      .sort()
      .join('\n');
  };
  const answering = async (): Promise<readonly string[]> => {
    const result = await node.probe(testbed.outside, 'TCP', [IPS[0] ?? '', 80], 8);
    return result.outcome === 'ok' ? Object.keys(result.backends).sort() : [result.outcome];
  };
  const until = async (isTrue: () => Promise<boolean>): Promise<void> => {
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    while (!(await isTrue())) await pause(50, undefined, { signal: deadline });
  };

  it('gives each Service the scheduler that it asks for, and the usual one where the kernel has no such', async () => {
    const asking = (word: string) => {
      const web = service('web', IPS, nodePorts(30080));
      return { ...web, metadata: { ...web.metadata, annotations: { 'switchyard.dev/scheduler': word } } };
    };
    const scheduler = async (): Promise<string | undefined> =>
      /^-A -t 10\.96\.0\.10:80 -s (\S+)/m.exec(await node.run('ipvsadm', '-Sn'))?.[1];
    // As where the module is not installed.
    await node.run(
      'sh',
      '-c',
      'mkdir -p /etc/modprobe.d; echo install ip_vs_twos /bin/false > /etc/modprobe.d/no.conf',
    );
    const words = [
      ['lc', 'lc'],
      ['mh-port', 'mh'],
      ['twos', 'rr'],
      ['random', 'rr'],
    ] as const;
    for (const [word, expected] of words) {
      node.put(asking(word));
      // Reads back that the options of the scheduler are as planned, too.
      await node.update();
      assert.equal(await scheduler(), expected, word);
      assert.deepEqual((await node.probe(testbed.outside, 'TCP', [IPS[0] ?? '', 80], 2)).outcome, 'ok', word);
    }
    node.put(asking('twos'));
    await node.sync();
    assert.equal(await scheduler(), 'rr');
  });

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
    const restarted = createIpvsDataplane({ netns: node.node.netnsPath });
    assert.deepEqual(await restarted.sync(node.take().snapshot), { written: 0, removed: 0 });
    restarted.close();
    assert.equal(await dump(), before);
  });

  it('writes nothing again for Services of every shape, and the same by sync as by updates', async () => {
    const spec = {
      type: 'LoadBalancer',
      sessionAffinity: 'ClientIP',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 30086,
      ports: (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => ({
        name: protocol.toLowerCase(),
        protocol,
        port: 80,
        nodePort: 30085,
      })),
      externalIPs: ['192.0.2.40', 'fd00:99::40', testbed.node('n1').address],
      loadBalancerSourceRanges: ['198.51.100.7/25', 'fd00:98::1/64', `${testbed.node('n1').address}/32`],
    };
    node.put(service('shapes', OTHER_IPS, spec, ['192.0.2.41', 'fd00:99::41']), slices('shapes', pods));
    node.put(
      service('inside', ['10.96.0.21', 'fd00:96::21'], { internalTrafficPolicy: 'Local' }),
      slices('inside', pods.slice(2)),
    );
    await node.update();
    const byUpdates = await dump();
    assert.equal(await node.dataplane.isIntact?.(true), true);
    assert.deepEqual(await node.dataplane.sync(node.take().snapshot), { written: 0, removed: 0 });
    assert.equal(await node.dataplane.isIntact?.(true), true);
    await node.dataplane.remove();
    await node.sync();
    assert.equal(await dump(), byUpdates);
  });

  it('sends only what belongs to the change', async () => {
    for (let index = 0; index < 30; index++) {
      const ips = [`10.96.1.${index}`, `fd00:96::1:${index}`];
      node.put(service(`many${index}`, ips), slices(`many${index}`, pods));
    }
    await node.update();
    node.put(slices('many7', pods.slice(1)));
    // A real server of two protocols in two families; who reaches itself is still an endpoint elsewhere.
    assert.deepEqual(await node.update(), { written: 0, removed: 4 });
    node.put(slices('many7', pods));
    assert.deepEqual(await node.update(), { written: 4, removed: 0 });
  });

  it('finds and repairs what somebody changed', async () => {
    const wanted = await dump();
    await node.run('ipvsadm', '-D', '-t', '10.96.0.10:80');
    await node.run('ipvsadm', '-d', '-u', '10.96.0.10:80', '-r', '10.244.1.2:8080');
    await node.run('ipvsadm', '-E', '-t', '[fd00:96::10]:80', '-s', 'lc');
    await node.run('ipset', 'del', 'SWITCHYARD-4-CLUSTER-IPS', '10.96.0.10,tcp:80');
    await node.run('ipset', 'add', 'SWITCHYARD-4-DROPPED', '10.96.0.10,tcp:80');
    await node.run('ip', 'route', 'del', 'local', '10.96.0.10/32', 'table', 'local');
    await node.run('ip', 'route', 'add', 'local', '10.96.0.99/32', 'dev', 'lo', 'table', 'local', 'proto', '83');
    await node.run('iptables', '-t', 'nat', '-F', 'SWITCHYARD-IPVS-MARK-MASQ');
    await node.run('iptables', '-D', 'INPUT', '-j', 'SWITCHYARD-IPVS-INPUT');
    const { snapshot } = node.take();
    const problems = (await node.dataplane.verify(snapshot)).map(({ problem }) => problem).sort();
    assert.deepEqual(
      problems,
      ['changed', 'changed', ...Array<string>(7).fill('missing'), 'unexpected', 'unexpected'].sort(),
    );
    await node.sync();
    assert.equal(await dump(), wanted);
    assert.deepEqual(await answering(), ['n1-p1', 'n1-p2']);
  });

  it('takes a virtual server over that is there already, and leaves those of others alone', async () => {
    await node.dataplane.remove();
    await node.run('ipvsadm', '-A', '-t', '10.96.0.10:80', '-s', 'wlc');
    await node.run('ipvsadm', '-A', '-t', '203.0.113.7:80', '-s', 'wlc');
    await node.run('ipvsadm', '-a', '-t', '203.0.113.7:80', '-r', '10.244.1.2:8080', '-m');
    await node.run('ipset', 'create', 'OTHERS', 'hash:ip');
    await node.sync();
    assert.deepEqual(await answering(), ['n1-p1', 'n1-p2']);
    node.table.deleteService(service('web', IPS));
    await node.update();
    await node.dataplane.remove();
    assert.equal(
      await node.run('ipvsadm', '-Sn'),
      '-A -t 203.0.113.7:80 -s wlc\n-a -t 203.0.113.7:80 -r 10.244.1.2:8080 -m -w 1\n',
    );
    assert.match(await node.run('ipset', 'list', '-name'), /^OTHERS$/m);
    await node.run('ipvsadm', '-C');
    await node.run('ipset', 'destroy', 'OTHERS');
  });

  it('removes everything of ours, and may be told twice', async () => {
    assert.equal(await node.dataplane.isPresent(), true);
    await node.dataplane.remove();
    assert.doesNotMatch(await dump(), /SWITCHYARD|10\.96\.0\.10|fd00:96::10|30080/);
    assert.equal(await node.dataplane.isPresent(), false);
    await node.dataplane.remove();
  });

  it('keeps the connections of an endpoint that goes, and forgets it when they have ended', async () => {
    const port = 9090;
    const [own = assert.fail(), other = assert.fail()] = pods;
    const servers = await Promise.all(
      [own, other].map((pod) => TrafficServer.start(testbed, pod, [{ protocol: 'TCP', port }])),
    );
    const endpoints = (...list: readonly Host[]) =>
      slices('web', list).map((slice) => ({ ...slice, ports: [{ name: 'tcp', protocol: 'TCP', port }] }));
    node.put(endpoints(own));
    await node.update();
    const target = { name: 'held', protocol: 'TCP', address: IPS[0] ?? '', port: 80, perSecond: 0, held: 2 } as const;
    const load = await TrafficLoad.start(testbed, testbed.outside, {
      targets: [{ ...target, backends: ['n1-p1'] }],
      timeoutMs: 10_000,
      heldIntervalMs: 50,
    });
    const held = async (): Promise<number> => (await load.report()).targets[0]?.heldExchanges ?? 0;
    const weight = async (): Promise<string | undefined> =>
      / -t 10\.96\.0\.10:80 -r 10\.244\.1\.2:9090 -m -w (\d)/.exec(await node.run('ipvsadm', '-Sn'))?.[1];
    await until(async () => (await held()) > 4);
    node.put(endpoints(other));
    await node.update();
    assert.equal(await weight(), '0');
    const before = await held();
    await until(async () => (await held()) > before + 4);
    assert.deepEqual(await answering(), ['n1-p2']);
    // It comes back, and takes connections again.
    node.put(endpoints(own, other));
    await node.update();
    assert.equal(await weight(), '1');
    node.put(endpoints(other));
    await node.update();
    assert.deepEqual((await load.report()).failures, []);
    // A connection that was reset stays in IPVS for ten seconds, one that was closed for two minutes.
    for (const server of servers) await server.close();
    await until(async () => (await weight()) === undefined);
    await load.stop();
  });
});

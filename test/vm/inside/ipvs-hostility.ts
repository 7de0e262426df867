import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { KernelError } from '../../../src/kernel/error.ts';
import { flipEndpoints } from '../../kernel/endpoint-flips.ts';
import { createTestbed, nodePorts, service, slices } from '../../kernel/iptables-fixture.ts';
import { IpvsNode } from './ipvs-node.ts';

/** How often Services change in each test. */
const ROUNDS = Number(process.env['SWITCHYARD_IPVS_HOSTILITY'] ?? 0);
const VIP = '10.96.0.10';
const VIP6 = 'fd00:96::10';

/** What somebody does to what is ours, again and again, in this order. */
const DAMAGES: readonly string[] = [
  `ipvsadm -D -t ${VIP}:80`,
  `ipvsadm -D -u [${VIP6}]:80`,
  `ipvsadm -E -t ${VIP}:80 -s lc -p 60`,
  `ipvsadm -a -t ${VIP}:80 -r 203.0.113.1:1 -m`,
  `ipvsadm -d -t [${VIP6}]:80 -r [fd00:244:1::2]:8080`,
  `ipset del SWITCHYARD-4-FRONTENDS ${VIP},tcp:80`,
  'ipset flush SWITCHYARD-6-CLUSTER-IPS',
  `ipset add SWITCHYARD-4-DROPPED ${VIP},tcp:80`,
  `ip addr del ${VIP}/32 dev kube-ipvs0`,
  `ip addr del ${VIP6}/128 dev kube-ipvs0`,
  'ip link set kube-ipvs0 up',
  'ip link set kube-ipvs0 down arp off',
  'ip link del kube-ipvs0',
  `ip route del local ${VIP} table local proto 83`,
  `ip -6 route del local ${VIP6} table local proto 83`,
  'iptables -t nat -F SWITCHYARD-IPVS-MARK-MASQ',
  'ip6tables -D INPUT -j SWITCHYARD-IPVS-INPUT',
];

describe('IPVS mode', () => {
  it('is whole once it is written in peace, whatever somebody did to it while it was written', async () => {
    await using testbed = await createTestbed();
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-hostility-'));
    const node = new IpvsNode(testbed);
    const { pods } = testbed;
    const lines = async (): Promise<readonly string[]> => {
      const script = 'ipvsadm -Sn; ipset save -sorted; ip route show table local; ip -6 route show table local';
      const text = await node.run('sh', '-c', `${script}; iptables-save; ip6tables-save; ip -o addr show kube-ipvs0`);
      return text
        .replaceAll(/^#.*$|^\d+: kube-ipvs0 +/gm, '')
        .replaceAll(/\[\d+:\d+\]| (?:bucketsize|initval|hashsize) \S+/g, '')
        .split('\n')
        .filter((line) => !/ -w 0$/.test(line))
        .sort();
    };
    try {
      node.put(service('web', [VIP, VIP6], nodePorts(30080)), slices('web', pods));
      await node.sync();
      await node.run('sh', '-c', 'ipvsadm -A -t 203.0.113.7:80 -s rr; ipset create OTHERS hash:ip');
      const goesOn = join(folder, 'goes-on');
      writeFileSync(goesOn, '');
      const loop = `while [ -e ${goesOn} ]; do ${DAMAGES.map((each) => `${each} 2>/dev/null`).join('; ')}; done`;
      const somebody = testbed.spawn(node.node, ['sh', '-c', loop], { stdio: 'ignore' });
      const ended = once(somebody, 'exit');
      const refusals: string[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        node.put(slices('web', pods.slice(round % pods.length)));
        node.put(service(`s${round % 5}`, [`10.96.1.${round % 5}`, `fd00:96::1:${round % 5}`]));
        node.put(slices(`s${round % 5}`, pods.slice(0, round % (pods.length + 1))));
        const { snapshot, changes } = node.take();
        try {
          await node.dataplane.update(snapshot, changes);
          await node.dataplane.sync(snapshot);
        } catch (error) {
          assert.ok(error instanceof KernelError, String(error));
          refusals.push(error.message);
        }
      }
      rmSync(goesOn);
      await ended;
      node.put(slices('web', pods));
      await node.sync();
      console.log(`${ROUNDS} rounds, ${refusals.length} refused: ${[...new Set(refusals)].slice(0, 5).join('; ')}`);
      for (const address of [VIP, VIP6]) {
        const { outcome, backends } = await node.probe(testbed.outside, 'TCP', [address, 80], 16);
        assert.deepEqual([outcome, Object.keys(backends).sort()], ['ok', pods.map(({ name }) => name).sort()]);
      }
      assert.match(await node.run('ipvsadm', '-Sn'), /-A -t 203\.0\.113\.7:80 -s rr/);
      assert.match(await node.run('ipset', 'list', '-name'), /^OTHERS$/m);
      const after = await lines();
      await node.dataplane.remove();
      await node.sync();
      assert.deepEqual(after, await lines());
    } finally {
      node.dataplane.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('never lets a connection past its rules while a Service loses all endpoints and gets some again', async () => {
    await using testbed = await createTestbed();
    const node = new IpvsNode(testbed);
    try {
      // An emulated processor takes no more, and what is slow there is not lost. An endpoint's answer to a datagram is lost where
      // the endpoint goes before it has sent it: IPVS forgets its flows with it, as with kube-proxy.
      const load = { perSecond: 1, timeoutMs: 20_000, protocols: ['TCP'] } as const;
      await flipEndpoints(testbed, node, { count: 3 * ROUNDS, ...load });
    } finally {
      node.dataplane.close();
    }
  });
});

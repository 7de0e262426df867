import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { IpsetClient } from '../../../src/kernel/ipset/client.ts';
import { IpvsClient } from '../../../src/kernel/ipvs/client.ts';
import { RouteClient } from '../../../src/kernel/route/client.ts';
import { KernelError } from '../../../src/kernel/error.ts';
import type { SetMember, VirtualServer } from '../../../src/plan/ipvs/objects.ts';
import { IPVS_SCHEDULERS } from '../../../src/core/service/ipvs-options.ts';
import type { SetType } from '../../../src/plan/ipvs/sets.ts';
import { Testbed } from '../../../src/sandbox/net/testbed.ts';

/** A namespace, and what the tools say of it. */
let testbed: Testbed;
const node = () => testbed.node('n1');
const run = async (...argv: readonly string[]): Promise<string> => (await testbed.exec(node(), argv)).stdout;
const lines = async (...argv: readonly string[]): Promise<string[]> =>
  (await run(...argv)).split('\n').filter((line) => line !== '');

before(async () => {
  testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
});
after(() => testbed?.destroy());

const server = (values: Partial<VirtualServer>): VirtualServer => ({
  address: '10.96.0.10',
  protocol: 'TCP',
  port: 80,
  scheduler: 'rr',
  schedulerFlags: 0,
  persistenceSeconds: 0,
  ...values,
});

describe('virtual servers', () => {
  const servers = [
    { name: 'TCP', server: server({}), saved: '-A -t 10.96.0.10:80 -s rr' },
    { name: 'UDP', server: server({ protocol: 'UDP', port: 53 }), saved: '-A -u 10.96.0.10:53 -s rr' },
    { name: 'SCTP', server: server({ protocol: 'SCTP' }), saved: '-A --sctp-service 10.96.0.10:80 -s rr' },
    { name: 'IPv6', server: server({ address: 'fd00:96::10' }), saved: '-A -t [fd00:96::10]:80 -s rr' },
    { name: 'persistent', server: server({ persistenceSeconds: 10800 }), saved: '-A -t 10.96.0.10:80 -s rr -p 10800' },
    {
      name: 'persistent over IPv6',
      server: server({ address: 'fd00:96::10', persistenceSeconds: 60 }),
      saved: '-A -t [fd00:96::10]:80 -s rr -p 60',
    },
    {
      name: 'hashed with the source port',
      server: server({ scheduler: 'mh', schedulerFlags: 0x10 }),
      saved: '-A -t 10.96.0.10:80 -s mh -b mh-port',
    },
  ];
  for (const { name, server, saved } of servers) {
    it(`are what ipvsadm says: ${name}`, async () => {
      const client = new IpvsClient(node().netnsPath);
      const realServer = { address: server.address.includes(':') ? 'fd00:244:1::2' : '10.244.1.2', port: 8080 };
      const printed = server.address.includes(':') ? '[fd00:244:1::2]:8080' : '10.244.1.2:8080';
      const [, option, address] = saved.split(' ');
      try {
        await client.apply([
          { kind: 'putServer', server },
          { kind: 'putRealServer', server, realServer },
        ]);
        assert.deepEqual(
          (await lines('ipvsadm', '-Sn')).map((line) => line.trim()),
          [saved, `-a ${option} ${address} -r ${printed} -m -w 1`],
        );
        assert.deepEqual(await client.listServers(), [server]);
        assert.deepEqual(await client.listRealServers(server), [
          { ...realServer, weight: 1, activeConnections: 0, inactiveConnections: 0 },
        ]);
        await client.apply([{ kind: 'retireRealServer', server, realServer }]);
        assert.equal((await client.listRealServers(server))[0]?.weight, 0);
        await client.apply([{ kind: 'putRealServer', server, realServer }]);
        assert.equal((await client.listRealServers(server))[0]?.weight, 1);
        await client.apply([{ kind: 'putServer', server: { ...server, scheduler: 'lc', schedulerFlags: 0 } }]);
        assert.match(await run('ipvsadm', '-Sn'), / -s lc/);
        await client.apply([{ kind: 'deleteRealServer', server, realServer }]);
        assert.deepEqual(await client.listRealServers(server), []);
      } finally {
        await client.apply([{ kind: 'deleteServer', server }]);
        // A second time changes nothing and is no mistake.
        await client.apply([
          { kind: 'deleteRealServer', server, realServer },
          { kind: 'retireRealServer', server, realServer },
          { kind: 'deleteServer', server },
        ]);
        client.close();
      }
      assert.deepEqual(await lines('ipvsadm', '-Sn'), []);
    });
  }

  it('can have every scheduler that this kernel has, and say which it has not', async () => {
    const client = new IpvsClient(node().netnsPath);
    const refused: string[] = [];
    for (const scheduler of IPVS_SCHEDULERS) {
      await client.apply([{ kind: 'putServer', server: server({ scheduler }) }]).catch((error: unknown) => {
        assert.ok(error instanceof KernelError && error.errno === 'ENOENT', String(error));
        refused.push(scheduler);
      });
      await client.apply([{ kind: 'deleteServer', server: server({}) }]);
    }
    client.close();
    // Debian builds all but this one.
    assert.deepEqual(refused, ['twos']);
  });

  it('are left alone when they are of a kind that we never make', async () => {
    const client = new IpvsClient(node().netnsPath);
    await run('ipvsadm', '-A', '-f', '7', '-s', 'rr');
    assert.deepEqual(await client.listServers(), []);
    await run('ipvsadm', '-C');
    client.close();
  });

  it('have timeouts, of which those not given stay', async () => {
    const client = new IpvsClient(node().netnsPath);
    const before = await client.timeouts();
    assert.deepEqual(before, { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 });
    await client.setTimeouts({ tcpSeconds: 800, tcpFinSeconds: 0, udpSeconds: 30 });
    assert.deepEqual(await client.timeouts(), { tcpSeconds: 800, tcpFinSeconds: 120, udpSeconds: 30 });
    client.close();
  });

  it('by the thousand take a moment', async () => {
    const client = new IpvsClient(node().netnsPath);
    const many = Array.from({ length: 3_000 }, (_, index) =>
      server({ address: `10.97.${index >> 8}.${index & 255}`, port: 80 }),
    );
    await client.apply(many.map((one) => ({ kind: 'putServer', server: one })));
    assert.equal((await client.listServers()).length, 3_000);
    await client.apply(many.map((one) => ({ kind: 'deleteServer', server: one })));
    assert.deepEqual(await client.listServers(), []);
    client.close();
  });
});

describe('ipsets', () => {
  const cases: readonly {
    type: SetType;
    family: 'IPv4' | 'IPv6';
    members: readonly SetMember[];
    saved: readonly string[];
  }[] = [
    { type: 'hash:ip', family: 'IPv4', members: [{ address: '10.96.0.10' }], saved: ['10.96.0.10'] },
    { type: 'hash:ip', family: 'IPv6', members: [{ address: 'fd00:96::10' }], saved: ['fd00:96::10'] },
    {
      type: 'hash:ip,port',
      family: 'IPv4',
      members: [
        { address: '10.96.0.10', protocol: 'TCP', port: 80 },
        { address: '10.96.0.10', protocol: 'UDP', port: 53 },
        { address: '10.96.0.10', protocol: 'SCTP', port: 9 },
      ],
      saved: ['10.96.0.10,sctp:9', '10.96.0.10,tcp:80', '10.96.0.10,udp:53'],
    },
    {
      type: 'hash:ip,port,ip',
      family: 'IPv6',
      members: [{ address: 'fd00::1', protocol: 'TCP', port: 8080, source: 'fd00::1' }],
      saved: ['fd00::1,tcp:8080,fd00::1'],
    },
    {
      type: 'hash:ip,port,net',
      family: 'IPv4',
      members: [
        { address: '192.0.2.1', protocol: 'TCP', port: 80, source: '203.0.113.0/25' },
        { address: '192.0.2.1', protocol: 'TCP', port: 80, source: '203.0.113.200/32' },
      ],
      saved: ['192.0.2.1,tcp:80,203.0.113.0/25', '192.0.2.1,tcp:80,203.0.113.200'],
    },
    { type: 'bitmap:port', family: 'IPv4', members: [{ port: 30000 }, { port: 65535 }], saved: ['30000', '65535'] },
  ];
  for (const { type, family, members, saved } of cases) {
    it(`are what ipset says: ${type} of ${family}`, async () => {
      const client = new IpsetClient(node().netnsPath);
      const set = 'SWITCHYARD-TEST';
      const key = (member: SetMember): string => JSON.stringify(Object.entries(member).sort());
      const sorted = (list: readonly SetMember[]): string[] => list.map(key).sort();
      await client.apply([
        { kind: 'createSet', set: { name: set, type, family } },
        ...members.map((member) => ({ kind: 'addMember', set, member }) as const),
        ...members.map((member) => ({ kind: 'addMember', set, member }) as const),
      ]);
      const added = (await lines('ipset', 'save', set)).filter((line) => line.startsWith('add '));
      assert.deepEqual(added.map((line) => line.split(' ')[2]).sort(), saved);
      assert.deepEqual(sorted(await client.listMembers(set)), sorted(members));
      const found = (await client.listSets()).map(({ name, type }) => ({ name, type }));
      assert.deepEqual(found, [{ name: set, type }]);
      const deletions = members.map((member) => ({ kind: 'deleteMember', set, member }) as const);
      await client.apply([...deletions, ...deletions]);
      assert.deepEqual(await client.listMembers(set), []);
      await client.apply([{ kind: 'destroySet', set }]);
      await client.apply([{ kind: 'destroySet', set }]);
      assert.deepEqual(await lines('ipset', 'save'), []);
      client.close();
    });
  }

  it('exchange what they hold, and forget it', async () => {
    const client = new IpsetClient(node().netnsPath);
    const [one, two] = ['SWITCHYARD-ONE', 'SWITCHYARD-TWO'];
    const sets = [one, two].map((name) => ({ name, type: 'hash:ip', family: 'IPv4' }) as const);
    await client.apply(sets.map((set) => ({ kind: 'createSet', set })));
    await client.apply([{ kind: 'addMember', set: one, member: { address: '10.0.0.1' } }]);
    await client.swap(one, two);
    assert.deepEqual([await client.listMembers(one), await client.listMembers(two)], [[], [{ address: '10.0.0.1' }]]);
    await client.flush(two);
    assert.deepEqual(await client.listMembers(two), []);
    await client.apply(sets.map(({ name }) => ({ kind: 'destroySet', set: name })));
    await assert.rejects(client.listMembers(one), (error) => error instanceof KernelError && error.errno === 'ENOENT');
    client.close();
  });

  it('say why they refuse', async () => {
    const client = new IpsetClient(node().netnsPath);
    const set = 'SWITCHYARD-USED';
    await client.apply([{ kind: 'createSet', set: { name: set, type: 'hash:ip', family: 'IPv4' } }]);
    await run('iptables', '-A', 'INPUT', '-m', 'set', '--match-set', set, 'dst', '-j', 'ACCEPT');
    await assert.rejects(
      client.apply([{ kind: 'destroySet', set }]),
      (error) => error instanceof KernelError && error.errno === 'IPSET_ERR_BUSY' && error.object === `set ${set}`,
    );
    await run('iptables', '-F', 'INPUT');
    await client.apply([{ kind: 'destroySet', set }]);
    client.close();
  });
});

describe('bound addresses', () => {
  it('are local, with the given source, and on a device that shows them', async () => {
    const client = new RouteClient(node().netnsPath);
    const before = await client.listAddresses();
    assert.deepEqual(before.map(({ address, interfaceName }) => `${interfaceName} ${address}`).sort(), [
      'eth0 172.18.0.11',
      'eth0 fd00:18::11',
      'lo 127.0.0.1',
      'lo ::1',
    ]);
    assert.equal(await client.sourceTowardsElsewhere('IPv4'), '172.18.0.11');
    const addresses = ['10.96.0.10', 'fd00:96::10'];
    const bind = addresses.map(
      (address) =>
        ({
          kind: 'bindAddress',
          address,
          source: address.includes(':') ? 'fd00:18::11' : '172.18.0.11',
        }) as const,
    );
    await client.apply([...bind, ...bind]);
    assert.deepEqual(await client.listBound(), [
      { address: '10.96.0.10', source: '172.18.0.11' },
      { address: 'fd00:96::10', source: 'fd00:18::11' },
    ]);
    assert.match(await run('ip', 'route', 'get', '10.96.0.10'), /^local 10\.96\.0\.10 dev lo src 172\.18\.0\.11 /);
    assert.match(await run('ip', '-6', 'route', 'get', 'fd00:96::10'), /^local fd00:96::10 .* src fd00:18::11 /);
    assert.deepEqual(
      (await client.listAddresses()).filter(({ interfaceName }) => interfaceName === 'kube-ipvs0'),
      addresses.map((address) => ({ address, interfaceName: 'kube-ipvs0' })),
    );
    assert.doesNotMatch(await run('ip', 'link', 'show', 'kube-ipvs0'), /[<,]UP[,>]/);
    const unbind = addresses.map((address) => ({ kind: 'unbindAddress', address }) as const);
    await client.apply([...unbind, ...unbind]);
    assert.deepEqual(await client.listBound(), []);
    await client.device.giveUp();
    assert.deepEqual(await client.listAddresses(), before);
    client.close();
  });

  it('leave the device and the routes of others alone', async () => {
    const client = new RouteClient(node().netnsPath);
    await run('ip', 'link', 'add', 'kube-ipvs0', 'type', 'dummy');
    await run('ip', 'addr', 'add', '10.96.0.10/32', 'dev', 'kube-ipvs0');
    await client.apply([{ kind: 'bindAddress', address: '10.96.0.10', source: '172.18.0.11' }]);
    assert.match(await run('ip', 'route', 'get', '10.96.0.10'), / src 10\.96\.0\.10 /);
    await client.device.giveUp();
    assert.equal((await client.device.shows())('10.96.0.10'), true);
    await run('ip', 'link', 'del', 'kube-ipvs0');
    assert.equal((await client.device.shows())('10.96.0.10'), false);
    assert.match(await run('ip', 'route', 'get', '10.96.0.10'), / src 172\.18\.0\.11 /);
    await client.apply([{ kind: 'unbindAddress', address: '10.96.0.10' }]);
    client.close();
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EvidenceService } from '../../../src/core/diagnose/evidence.ts';
import { Testbed } from '../../../src/sandbox/net/testbed.ts';
import { probe, TrafficServer } from '../../../src/sandbox/traffic/traffic.ts';
import { nodePorts, service, slices } from '../../kernel/iptables-fixture.ts';
import { AgentNode } from './agent-node.ts';
import { findingsOf, traceOf, type Cluster } from './asked.ts';
import { setConntrackMax, sysctl } from './bare-node.ts';

const VIP = '10.96.0.10';
const VIP6 = 'fd00:96::10';
const NEW_ADDRESS = '172.18.0.99';

const MAX = 'net.netfilter.nf_conntrack_max';
const ENTRIES = 800;
const UDP_TIMEOUT = 'net.netfilter.nf_conntrack_udp_timeout';
/** So many flows that nobody answers; each takes an entry. */
const FLOWS = `
  const socket = require('node:dgram').createSocket('udp4');
  const send = (port) => port < ${ENTRIES} ? socket.send('x', 20000 + port, '10.244.1.9', () => send(port + 1)) : socket.close();
  send(0);`;

/** Somebody who removes what serves a Service as often as it comes back. */
const FIGHT = `while :; do ipvsadm -D -t ${VIP}:80; ip addr del ${VIP}/32 dev kube-ipvs0; sleep 0.05; done 2>/dev/null`;

const EVERYTHING = [
  'iptables -t nat -F; iptables -t nat -X; nft flush ruleset',
  'ipset flush; ipset destroy; ipvsadm -C',
  'ip link del kube-ipvs0; sysctl -qw net.ipv4.vs.conntrack=0',
].join('; ');

/** What is done to the node, and by what it is seen to be there. */
const DAMAGES: readonly {
  readonly name: string;
  readonly damage: string;
  readonly look: string;
  readonly has: RegExp;
}[] = [
  {
    name: 'a virtual server',
    damage: `ipvsadm -D -t ${VIP}:80`,
    look: 'ipvsadm -Sn',
    has: /-A -t 10\.96\.0\.10:80 -s rr\n-a -t 10\.96\.0\.10:80 -r 10\.244\.1\.2:8080 /,
  },
  {
    name: 'a real server',
    damage: `ipvsadm -d -u [${VIP6}]:80 -r [fd00:244:1::2]:8080`,
    look: 'ipvsadm -Sn',
    has: /-a -u \[fd00:96::10\]:80 -r \[fd00:244:1::2\]:8080 /,
  },
  {
    name: 'all virtual servers',
    damage: 'ipvsadm -C',
    look: 'ipvsadm -Sn',
    has: /-A -u \[fd00:96::10\]:80/,
  },
  {
    name: 'a member of a set',
    damage: `ipset del SWITCHYARD-4-FRONTENDS ${VIP},tcp:80`,
    look: 'ipset save SWITCHYARD-4-FRONTENDS',
    has: /10\.96\.0\.10,tcp:80/,
  },
  {
    name: 'all sets and chains',
    damage: 'nft flush ruleset; ipset flush; ipset destroy',
    look: 'iptables-save; ipset save',
    has: /-j SWITCHYARD-IPVS-INPUT[^]*SWITCHYARD-4-FRONTENDS 10\.96\.0\.10,tcp:80/,
  },
  {
    name: 'a chain',
    damage: 'iptables -t nat -F SWITCHYARD-IPVS-MARK-MASQ',
    look: 'iptables-save -t nat',
    has: /-A SWITCHYARD-IPVS-MARK-MASQ -j MARK/,
  },
  {
    name: 'an address',
    damage: `ip addr del ${VIP}/32 dev kube-ipvs0`,
    look: 'ip addr show kube-ipvs0',
    has: /inet 10\.96\.0\.10\/32/,
  },
  {
    name: 'a route',
    damage: `ip -6 route del local ${VIP6} table local proto 83`,
    look: 'ip -6 route show table local',
    has: /local fd00:96::10 dev lo/,
  },
  {
    name: 'the device',
    damage: 'ip link del kube-ipvs0',
    look: 'ip link show kube-ipvs0; ip -6 addr show kube-ipvs0',
    has: /alias switchyard[^]*inet6 fd00:96::10\/128/,
  },
  {
    name: 'the quiet of the device',
    damage: 'ip link set kube-ipvs0 up',
    look: `ip link show kube-ipvs0; ip -6 addr show kube-ipvs0; ip -6 route get ${VIP6}`,
    has: /state DOWN[^]*inet6 fd00:96::10\/128[^]* src fd00:18::11 /,
  },
  {
    name: 'everything at once, and again while it is put back,',
    damage: `for time in 1 2 3 4; do ${EVERYTHING}; sleep 0.2; done`,
    look: 'ipvsadm -Sn; ipset save; iptables-save; ip6tables-save; ip addr show kube-ipvs0; sysctl net.ipv4.vs.conntrack',
    has: /-A -u \[fd00:96::10\]:80[^]*SWITCHYARD-4-FRONTENDS 10\.96\.0\.10,tcp:80[^]*-j SWITCHYARD-IPVS-INPUT[^]*-j SWITCHYARD-IPVS-INPUT[^]*inet6 fd00:96::10\/128[^]*conntrack = 1/,
  },
];

describe('an agent in IPVS mode', () => {
  let testbed: Testbed;
  let agent: AgentNode;
  let cluster: Cluster;
  before(async () => {
    testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 2 }], outside: true });
    const [pod = assert.fail()] = testbed.pods;
    await TrafficServer.start(testbed, pod, [
      { protocol: 'TCP', port: 8080 },
      { protocol: 'UDP', port: 8080 },
    ]);
    agent = await AgentNode.create(testbed);
    const web = service('web', [VIP, VIP6], nodePorts(30080));
    cluster = { services: [web as EvidenceService], endpointSlices: slices('web', [pod]) };
    agent.put(web, cluster.endpointSlices);
    // The table's room is not a network namespace's to set.
    agent.want('ipvs', {
      conntrack: { maxPerCore: 0 },
      ipvs: { tcpTimeout: '5m', tcpFinTimeout: '1m', udpTimeout: '30s' },
    });
    agent.start();
    await agent.untilServing('ipvs');
  });
  after(async () => {
    await agent?.destroy();
    await testbed?.destroy();
  });
  const sh = (script: string): Promise<string> => agent.run('sh', '-c', `${script} 2>&1 || true`);
  const answers = async (address: string, port: number): Promise<boolean> =>
    (await probe(testbed, testbed.nodes[0]?.pods[1] ?? assert.fail(), { protocol: 'TCP', address, port })).outcome ===
    'ok';

  it('sets the timeouts and settings of its profile', async () => {
    assert.match(await sh('ipvsadm -L --timeout'), /300 60 30/);
    assert.match(await sh('sysctl net.ipv4.vs.conntrack'), /= 1/);
  });

  const first = async (of: Cluster): Promise<string> => JSON.stringify((await findingsOf(agent, of))[0]);

  it('is well, as diagnose says', async () => {
    assert.deepEqual(await findingsOf(agent, cluster), []);
  });

  it('is found first with strictARP off where a load balancer announces addresses by ARP', async () => {
    const balanced = service('announced', ['10.96.0.11'], { type: 'LoadBalancer' }, ['192.0.2.11']);
    const announced = { ...balanced, spec: { ...balanced.spec, loadBalancerClass: 'metallb' } } as EvidenceService;
    const alike = cluster.endpointSlices.map(({ metadata, ...rest }) => ({
      ...rest,
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'announced' } },
    }));
    const more = { services: [...cluster.services, announced], endpointSlices: [...cluster.endpointSlices, ...alike] };
    assert.match(await first(more), /StrictARPMissing.*arp_ignore is 0.*announced has 192\.0\.2\.11/);
  });

  it('is found first with a conntrack table that is full', async () => {
    const roomy = Number(sysctl(MAX));
    await sh(`sysctl -qw ${UDP_TIMEOUT}=600`);
    await agent.run(process.execPath, '-e', FLOWS);
    try {
      // The agent itself needs some room to tell of it.
      setConntrackMax(ENTRIES + 40);
      assert.match(await first(cluster), /ConntrackFull.*n1: 8\d\d of 840 entries/);
    } finally {
      setConntrackMax(roomy);
      await sh(`sysctl -qw ${UDP_TIMEOUT}=30; conntrack -D -p udp -d 10.244.1.9`);
    }
  });

  it('shows by trace --live where IPVS sends a connection', async () => {
    const trace = { protocol: 'TCP', destination: VIP, port: 80, seconds: 10, connect: true } as const;
    const { packets, notes } = await traceOf(agent, trace);
    const whole = JSON.stringify({ packets, notes }, null, 1);
    const [packet = assert.fail(whole)] = packets;
    assert.deepEqual(packet.sentTo, { address: testbed.pods[0]?.address, port: 8080 }, whole);
    assert.match(packet.steps.at(-1)?.rule ?? '', /^virtual server 10\.96\.0\.10:80\/TCP: real server /, whole);
    assert.ok(
      packet.steps.some(({ chain }) => chain.includes('SWITCHYARD-IPVS-')),
      whole,
    );
  });

  for (const { name, damage, look, has } of DAMAGES) {
    it(`puts back ${name} that somebody takes away`, async () => {
      assert.match(await sh(look), has, 'before');
      await sh(damage);
      await agent.until(`${name} is back`, async () => has.test(await sh(look)));
      await agent.until('it answers', () => answers(VIP, 80));
    });
  }

  it('says so', () => {
    const drifted = agent.status?.conditions?.find(({ type }) => type === 'Drifted');
    assert.equal(drifted?.status, 'True');
  });

  it('answers NodePorts on an address that the node gets, and no longer when it has gone', async () => {
    await sh(`ip addr add ${NEW_ADDRESS}/24 dev eth0`);
    await agent.until('the new address answers', () => answers(NEW_ADDRESS, 30080));
    await sh(`ip addr del ${NEW_ADDRESS}/24 dev eth0`);
    await agent.until('its virtual server is gone', async () => !(await sh('ipvsadm -Sn')).includes(NEW_ADDRESS));
  });

  it('is found first without the virtual server and the address that somebody removes again and again', async () => {
    const stop = new AbortController();
    const fight = testbed.spawn(agent.node, ['sh', '-c', FIGHT], { signal: stop.signal, stdio: 'ignore' });
    fight.on('error', () => undefined);
    try {
      await agent.until('it repairs at intervals', () =>
        Boolean(agent.status?.conditions?.some(({ reason }) => reason === 'RulesContested')),
      );
      await agent.until('it is found', async () => {
        const { code, evidence = [] } = (await findingsOf(agent, cluster))[0] ?? {};
        const seen = [/virtual server 10\.96\.0\.10 TCP 80/, /local route to 10\.96\.0\.10: missing/];
        return code === 'RulesMissing' && seen.every((each) => each.test(evidence.join('\n')));
      });
    } finally {
      stop.abort();
    }
  });

  it('is taken out by --cleanup, which leaves what others have', async () => {
    await sh('ipvsadm -A -t 203.0.113.7:80 -s rr; ipset create OTHERS hash:ip');
    await agent.cleanUp();
    assert.equal(await sh('ipvsadm -Sn'), '-A -t 203.0.113.7:80 -s rr\n');
    assert.equal(await sh('ipset list -name'), 'OTHERS\n');
    const rest = await sh('iptables-save; ip6tables-save; nft list ruleset; ip addr; ip route show table local');
    assert.doesNotMatch(rest, /SWITCHYARD|switchyard|kube-ipvs0|10\.96\./);
    await sh('ipvsadm -C; ipset destroy OTHERS');
  });
});

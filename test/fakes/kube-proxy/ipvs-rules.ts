import type { Family } from '../../../src/core/ip.ts';
import type { ServicePort } from '../../../src/core/service/snapshot.ts';
import { ensureJumps, MASQUERADING, NAT_JUMPS, textOf, type RulesOptions } from './iptables-rules.ts';

const SETS: readonly (readonly [string, string])[] = [
  ['LOOP-BACK', 'hash:ip,port,ip'],
  ['CLUSTER-IP', 'hash:ip,port'],
  ['EXTERNAL-IP', 'hash:ip,port'],
  ['EXTERNAL-IP-LOCAL', 'hash:ip,port'],
  ['LOAD-BALANCER', 'hash:ip,port'],
  ['LOAD-BALANCER-LOCAL', 'hash:ip,port'],
  ['LOAD-BALANCER-FW', 'hash:ip,port'],
  ['LOAD-BALANCER-SOURCE-IP', 'hash:ip,port,ip'],
  ['LOAD-BALANCER-SOURCE-CIDR', 'hash:ip,port,net'],
  ['NODE-PORT-TCP', 'bitmap:port'],
  ['NODE-PORT-LOCAL-TCP', 'bitmap:port'],
  ['NODE-PORT-UDP', 'bitmap:port'],
  ['NODE-PORT-LOCAL-UDP', 'bitmap:port'],
  ['NODE-PORT-SCTP-HASH', 'hash:ip,port'],
  ['NODE-PORT-LOCAL-SCTP-HASH', 'hash:ip,port'],
  ['HEALTH-CHECK-NODE-PORT', 'bitmap:port'],
  ['IPVS-IPS', 'hash:ip'],
];
const JUMPS: readonly (readonly [string, string])[] = [
  ['FORWARD', '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD'],
  ['INPUT', '-m comment --comment "kubernetes health check rules" -j KUBE-NODE-PORT'],
  ['INPUT', '-m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL'],
  ['FORWARD', '-m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL'],
  ['INPUT', '-m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-FILTER'],
  ['OUTPUT', '-m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-OUT-FILTER'],
];
const SYSCTLS = ['conntrack=1', 'expire_nodest_conn=1', 'expire_quiescent_template=1'];

/** kube-proxy in IPVS mode, both families. */
export class IpvsRules {
  readonly #options: RulesOptions;
  /** What was put into the kernel, as lines of `ipset`, `ip` and `ipvsadm`. */
  readonly #members = new Set<string>();
  readonly #addresses = new Set<string>();
  readonly #servers = new Map<string, Server>();
  #hasStarted = false;

  constructor(options: RulesOptions) {
    this.#options = options;
  }

  async sync(all: readonly ServicePort[]): Promise<void> {
    const { run } = this.#options;
    if (!this.#hasStarted) {
      for (const setting of SYSCTLS) await run('sysctl', ['-w', `net.ipv4.vs.${setting}`]);
      await run('sh', ['-c', 'ip link show kube-ipvs0 >/dev/null 2>&1 || ip link add kube-ipvs0 type dummy']);
      for (const family of ['IPv4', 'IPv6'] as const) await run('ipset', ['restore', '-exist'], createSets(family));
    }
    const nodeAddresses = await this.#nodeAddresses();
    await this.#syncServers(all, nodeAddresses);
    await this.#syncMembers(all);
    if (!this.#hasStarted) for (const family of ['IPv4', 'IPv6'] as const) await this.#makeRules(family);
    this.#hasStarted = true;
  }

  async #nodeAddresses(): Promise<string[]> {
    const links = JSON.parse(await this.#options.run('ip', ['-j', 'addr'])) as {
      ifname: string;
      addr_info: { local: string; scope: string }[];
    }[];
    const own = links.filter(({ ifname }) => ifname !== 'kube-ipvs0' && ifname !== 'lo');
    return own.flatMap((link) => link.addr_info.filter(({ scope }) => scope === 'global').map(({ local }) => local));
  }

  async #syncServers(all: readonly ServicePort[], nodeAddresses: readonly string[]): Promise<void> {
    const wanted = new Map(all.flatMap((port) => serversOf(port, nodeAddresses)));
    const gone = [...this.#servers.keys()].filter((server) => !wanted.has(server));
    const lines = [
      ...[...wanted].flatMap(([name, server]) => changesOf(name, this.#servers.get(name), server)),
      ...gone.map((server) => `-D ${server}`),
    ];
    // What an earlier life has left is there already.
    const known = new Set((await this.#options.run('ipvsadm', ['-Sn'])).split('\n').map(placeOf));
    const missing = lines.filter((line) => line.startsWith('-d') || line.startsWith('-D') || !known.has(placeOf(line)));
    await this.#options.run('ipvsadm', ['-R'], `${missing.join('\n')}\n`);
    const addresses = new Set(all.flatMap(vipsOf));
    const batch = [...addresses]
      .filter((address) => !this.#addresses.has(address))
      .map((address) => `addr replace ${address}/${address.includes(':') ? 128 : 32} dev kube-ipvs0`);
    await this.#options.run('ip', ['-batch', '-'], `${batch.join('\n')}\n`);
    for (const address of addresses) this.#addresses.add(address);
    this.#servers.clear();
    for (const [name, server] of wanted) this.#servers.set(name, server);
  }

  async #syncMembers(all: readonly ServicePort[]): Promise<void> {
    const wanted = new Set(all.flatMap(membersOf));
    const lines = [
      ...[...wanted].filter((member) => !this.#members.has(member)).map((member) => `add ${member}`),
      ...[...this.#members].filter((member) => !wanted.has(member)).map((member) => `del ${member}`),
    ];
    await this.#options.run('ipset', ['restore', '-exist'], `${lines.join('\n')}\n`);
    this.#members.clear();
    for (const member of wanted) this.#members.add(member);
  }

  async #makeRules(family: Family): Promise<void> {
    const { run, flavour, clusterCIDR } = this.#options;
    const tool = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${flavour}`;
    const set = (name: string, directions: string) => `-m set --match-set ${setName(family, name)} ${directions}`;
    const cidr = clusterCIDR.split(',').find((each) => each.includes(':') === (family === 'IPv6'));
    const loopback = family === 'IPv4' ? '127.0.0.0/8' : '::1/128';
    const fromOutside =
      cidr === undefined ? set('CLUSTER-IP', 'src,dst') : `${set('CLUSTER-IP', 'dst,dst')} ! -s ${cidr}`;
    const returns = ['LOAD-BALANCER', 'CLUSTER-IP', 'EXTERNAL-IP', 'EXTERNAL-IP-LOCAL'].map(
      (name) => `-A KUBE-IPVS-FILTER ${set(name, 'dst,dst')} -j RETURN`,
    );
    const input = [
      '*filter',
      ...[
        'KUBE-FORWARD',
        'KUBE-NODE-PORT',
        'KUBE-PROXY-FIREWALL',
        'KUBE-SOURCE-RANGES-FIREWALL',
        'KUBE-IPVS-FILTER',
        'KUBE-IPVS-OUT-FILTER',
      ].map((name) => `:${name} - [0:0]`),
      '-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT',
      '-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      `-A KUBE-PROXY-FIREWALL ${set('LOAD-BALANCER-FW', 'dst,dst')} -j KUBE-SOURCE-RANGES-FIREWALL`,
      `-A KUBE-NODE-PORT ${set('HEALTH-CHECK-NODE-PORT', 'dst')} -j ACCEPT`,
      ...returns,
      `-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW ${set('IPVS-IPS', 'dst')} -j REJECT`,
      'COMMIT',
      '*nat',
      ...['KUBE-SERVICES', 'KUBE-POSTROUTING', 'KUBE-NODE-PORT', 'KUBE-LOAD-BALANCER', 'KUBE-MARK-MASQ'].map(
        (name) => `:${name} - [0:0]`,
      ),
      ...MASQUERADING.slice(0, 1),
      `-A KUBE-POSTROUTING ${set('LOOP-BACK', 'dst,dst,src')} -j MASQUERADE`,
      ...MASQUERADING.slice(1),
      `-A KUBE-SERVICES -s ${loopback} -j RETURN`,
      `-A KUBE-SERVICES ${set('LOAD-BALANCER', 'dst,dst')} -j KUBE-LOAD-BALANCER`,
      `-A KUBE-SERVICES ${fromOutside} -j KUBE-MARK-MASQ`,
      `-A KUBE-SERVICES ${set('EXTERNAL-IP', 'dst,dst')} -j KUBE-MARK-MASQ`,
      '-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT',
      `-A KUBE-SERVICES ${set('CLUSTER-IP', 'dst,dst')} -j ACCEPT`,
      `-A KUBE-SERVICES ${set('LOAD-BALANCER', 'dst,dst')} -j ACCEPT`,
      '-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ',
      `-A KUBE-NODE-PORT -p tcp ${set('NODE-PORT-TCP', 'dst')} -j KUBE-MARK-MASQ`,
      `-A KUBE-NODE-PORT -p udp ${set('NODE-PORT-UDP', 'dst')} -j KUBE-MARK-MASQ`,
      'COMMIT',
      '',
    ].join('\n');
    await run(`${tool}-restore`, ['--noflush', '-w', '5'], input);
    await ensureJumps(this.#options, family, [
      ...JUMPS.map(([chain, rule]) => ['filter', chain, rule] as const),
      ...NAT_JUMPS.map(([chain, rule]) => ['nat', chain, rule] as const),
    ]);
  }
}

function setName(family: Family, name: string): string {
  return family === 'IPv4' ? `KUBE-${name}` : `KUBE-6-${name}`.slice(0, 31);
}

function createSets(family: Family): string {
  const lines = SETS.map(([name, type]) => {
    const options = type === 'bitmap:port' ? 'range 0-65535' : `family ${family === 'IPv4' ? 'inet' : 'inet6'}`;
    return `create ${setName(family, name)} ${type} ${options}`;
  });
  return `${lines.join('\n')}\n`;
}

function serversOf(port: ServicePort, nodeAddresses: readonly string[]): [string, Server][] {
  const realServers = new Set(port.clusterBackends.map(textOf));
  const flag = port.protocol === 'TCP' ? '-t' : '-u';
  const nodes = nodeAddresses.filter((each) => each.includes(':') === (port.family === 'IPv6'));
  const persistence = port.affinitySeconds > 0 ? ` -p ${port.affinitySeconds}` : '';
  const at = (address: string, number: number): [string, Server] => {
    const name = `${flag} ${textOf({ address, port: number, isLocal: false })}`;
    return [name, { options: `-s rr${persistence}`, realServers }];
  };
  return [
    ...vipsOf(port).map((address) => at(address, port.port)),
    ...(port.nodePort === 0 ? [] : nodes.map((address) => at(address, port.nodePort))),
  ];
}

interface Server {
  /** As ipvsadm takes them. */
  readonly options: string;
  readonly realServers: ReadonlySet<string>;
}

function changesOf(server: string, before: Server | undefined, { options, realServers: wanted }: Server): string[] {
  const had = before?.realServers;
  return [
    ...(had === undefined ? [`-A ${server} ${options}`] : []),
    ...[...wanted].filter((each) => had?.has(each) !== true).map((each) => `-a ${server} -r ${each} -m -w 1`),
    ...[...(had ?? [])].filter((each) => !wanted.has(each)).map((each) => `-d ${server} -r ${each}`),
  ];
}

/** A virtual server, or a real server at one, in a line of ipvsadm. */
function placeOf(line: string): string {
  return /^-[Aa] \S+ \S+(?: -r \S+)?/.exec(line)?.[0] ?? '';
}

function vipsOf({ clusterIP, externalIPs, loadBalancerVIPs }: ServicePort): string[] {
  return [clusterIP, ...externalIPs, ...loadBalancerVIPs];
}

function membersOf(port: ServicePort): string[] {
  const { family, clusterIP, externalIPs, loadBalancerVIPs, nodePort, clusterBackends } = port;
  const protocol = port.protocol.toLowerCase();
  const at = (name: string, address: string) => `${setName(family, name)} ${address},${protocol}:${port.port}`;
  return [
    at('CLUSTER-IP', clusterIP),
    ...externalIPs.map((address) => at('EXTERNAL-IP', address)),
    ...loadBalancerVIPs.map((address) => at('LOAD-BALANCER', address)),
    ...vipsOf(port).map((address) => `${setName(family, 'IPVS-IPS')} ${address}`),
    ...(nodePort === 0 ? [] : [`${setName(family, `NODE-PORT-${port.protocol}`)} ${nodePort}`]),
    ...clusterBackends
      .filter(({ isLocal }) => isLocal)
      .map((each) => `${setName(family, 'LOOP-BACK')} ${each.address},${protocol}:${each.port},${each.address}`),
  ];
}

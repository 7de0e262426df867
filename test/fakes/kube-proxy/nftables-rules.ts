import { createHash } from 'node:crypto';
import type { ServicePort } from '../../../src/core/service/snapshot.ts';
import type { RulesOptions } from './iptables-rules.ts';

const CHAINS = [
  'services',
  'masquerading',
  'mark-for-masquerade',
  'reject-chain',
  'service-endpoints-check',
  'nodeport-endpoints-check',
  'cluster-ips-check',
];
const BASE: Readonly<Record<string, readonly [string, string]>> = {
  'filter-prerouting-pre-dnat': ['type filter hook prerouting priority -110;', ''],
  'filter-output-pre-dnat': ['type filter hook output priority -110;', ''],
  'filter-input': [
    'type filter hook input priority 0;',
    'ct state new jump nodeport-endpoints-check; ct state new jump service-endpoints-check',
  ],
  'filter-forward': [
    'type filter hook forward priority 0;',
    'ct state new jump service-endpoints-check; ct state new jump cluster-ips-check',
  ],
  'filter-output': [
    'type filter hook output priority 0;',
    'ct state new jump service-endpoints-check; ct state new jump cluster-ips-check',
  ],
  'nat-prerouting': ['type nat hook prerouting priority -100;', 'jump services'],
  'nat-output': ['type nat hook output priority -100;', 'jump services'],
  'nat-postrouting': ['type nat hook postrouting priority 100;', 'jump masquerading'],
};

/** kube-proxy in nftables mode, both families, each sync one transaction. */
export class NftablesRules {
  readonly #options: RulesOptions;
  readonly #chains = { ip: new Set<string>(), ip6: new Set<string>() };

  constructor(options: RulesOptions) {
    this.#options = options;
  }

  async sync(all: readonly ServicePort[]): Promise<void> {
    for (const [ip, family] of [
      ['ip', 'IPv4'],
      ['ip6', 'IPv6'],
    ] as const) {
      const input = this.#table(
        ip,
        all.filter((port) => port.family === family),
      );
      await this.#options.run('nft', ['-f', '-'], input);
    }
  }

  #table(ip: 'ip' | 'ip6', ports: readonly ServicePort[]): string {
    const t = `${ip} kube-proxy`;
    const address = ip === 'ip' ? 'ipv4_addr' : 'ipv6_addr';
    const named = ports.map((port) => ({ port, chain: chainName(port) }));
    const served = named.filter(({ port }) => port.clusterBackends.length > 0);
    const empty = named.filter(({ port }) => port.clusterBackends.length === 0);
    const known = this.#chains[ip];
    for (const { chain } of served) known.add(`service-${chain}`).add(`external-${chain}`);
    const lines = [
      `add table ${t} { comment "rules for kube-proxy"; }`,
      ...Object.entries(BASE).map(([name, [hook]]) => `add chain ${t} ${name} { ${hook} }`),
      ...[...CHAINS, ...known].map((name) => `add chain ${t} ${name}`),
      `add set ${t} cluster-ips { type ${address}; }`,
      `add set ${t} nodeport-ips { type ${address}; }`,
      `add set ${t} hairpin-connections { type ${address} . ${address} . inet_proto . inet_service; }`,
      `add map ${t} service-ips { type ${address} . inet_proto . inet_service : verdict; }`,
      `add map ${t} service-nodeports { type inet_proto . inet_service : verdict; }`,
      `add map ${t} no-endpoint-services { type ${address} . inet_proto . inet_service : verdict; }`,
      `add map ${t} no-endpoint-nodeports { type inet_proto . inet_service : verdict; }`,
      ...[...Object.keys(BASE), ...CHAINS, ...known].map((name) => `flush chain ${t} ${name}`),
      ...['service-ips', 'service-nodeports', 'no-endpoint-services', 'no-endpoint-nodeports'].map(
        (name) => `flush map ${t} ${name}`,
      ),
      `flush set ${t} cluster-ips`,
      `flush set ${t} hairpin-connections`,
      ...Object.entries(BASE).flatMap(([name, [, rules]]) =>
        rules === '' ? [] : rules.split('; ').map((rule) => `add rule ${t} ${name} ${rule}`),
      ),
      `add rule ${t} mark-for-masquerade mark set mark or 0x4000`,
      `add rule ${t} masquerading ct status dnat ${ip} saddr . ${ip} daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random`,
      `add rule ${t} masquerading mark and 0x4000 == 0 return`,
      `add rule ${t} masquerading mark set mark xor 0x4000`,
      `add rule ${t} masquerading masquerade fully-random`,
      `add rule ${t} reject-chain reject`,
      `add rule ${t} services ${ip} daddr . meta l4proto . th dport vmap @service-ips`,
      `add rule ${t} services fib daddr type local meta l4proto . th dport vmap @service-nodeports`,
      `add rule ${t} service-endpoints-check ${ip} daddr . meta l4proto . th dport vmap @no-endpoint-services`,
      `add rule ${t} nodeport-endpoints-check fib daddr type local meta l4proto . th dport vmap @no-endpoint-nodeports`,
      ...served.flatMap(({ port, chain }) => serviceLines(t, ip, port, chain)),
      ...empty.flatMap(({ port }) =>
        [port.clusterIP, ...port.externalIPs, ...port.loadBalancerVIPs].map(
          (vip) => `add element ${t} no-endpoint-services { ${vip} . ${keyOf(port)} : goto reject-chain }`,
        ),
      ),
      ...empty.flatMap(({ port }) =>
        port.nodePort === 0
          ? []
          : [
              `add element ${t} no-endpoint-nodeports { ${port.protocol.toLowerCase()} . ${port.nodePort} : goto reject-chain }`,
            ],
      ),
    ];
    return `${lines.join('\n')}\n`;
  }
}

function keyOf({ protocol, port }: ServicePort): string {
  return `${protocol.toLowerCase()} . ${port}`;
}

function chainName({ namespace, name, protocol, portName, family }: ServicePort): string {
  const text = `${namespace}/${name}/${protocol.toLowerCase()}/${portName}`;
  return `${createHash('sha256')
    .update(text + family)
    .digest('hex')
    .slice(0, 8)
    .toUpperCase()}-${text}`;
}

function pickLine(t: string, ip: 'ip' | 'ip6', { protocol, clusterBackends }: ServicePort, chain: string): string {
  const map = clusterBackends.map((backend, index) => `${index} : ${backend.address} . ${backend.port}`).join(', ');
  const pick = `numgen random mod ${clusterBackends.length} map { ${map} }`;
  return `add rule ${t} service-${chain} meta l4proto ${protocol.toLowerCase()} dnat ${ip} to ${pick}`;
}

/** With session affinity each endpoint has a set of its clients and a chain of its own. */
function stickyLines(t: string, ip: 'ip' | 'ip6', port: ServicePort, chain: string): string[] {
  const { clusterBackends, affinitySeconds } = port;
  const protocol = port.protocol.toLowerCase();
  const type = ip === 'ip' ? 'ipv4_addr' : 'ipv6_addr';
  const named = clusterBackends.map((backend) => {
    const id = `${chain}__${backend.address.replaceAll(':', '.')}/${backend.port}`;
    return { endpoint: `endpoint-${id}`, set: `affinity-${id}`, backend };
  });
  const map = named.map(({ endpoint }, index) => `${index} : goto ${endpoint}`).join(', ');
  return [
    ...named.flatMap(({ endpoint, set, backend }) => [
      `add set ${t} ${set} { type ${type}; flags dynamic,timeout; timeout ${affinitySeconds}s; }`,
      `add chain ${t} ${endpoint}`,
      `flush chain ${t} ${endpoint}`,
      `add rule ${t} ${endpoint} update @${set} { ${ip} saddr }`,
      `add rule ${t} ${endpoint} meta l4proto ${protocol} dnat ${ip} to ${backend.address.includes(':') ? `[${backend.address}]` : backend.address}:${backend.port}`,
    ]),
    ...named.map(({ endpoint, set }) => `add rule ${t} service-${chain} ${ip} saddr @${set} goto ${endpoint}`),
    `add rule ${t} service-${chain} numgen random mod ${clusterBackends.length} vmap { ${map} }`,
  ];
}

function serviceLines(t: string, ip: 'ip' | 'ip6', port: ServicePort, chain: string): string[] {
  const { clusterBackends, externalIPs, loadBalancerVIPs, clusterIP, nodePort } = port;
  const protocol = port.protocol.toLowerCase();
  return [
    ...(port.affinitySeconds > 0 ? stickyLines(t, ip, port, chain) : [pickLine(t, ip, port, chain)]),
    `add rule ${t} external-${chain} jump mark-for-masquerade`,
    `add rule ${t} external-${chain} goto service-${chain}`,
    `add element ${t} service-ips { ${clusterIP} . ${keyOf(port)} : goto service-${chain} }`,
    `add element ${t} cluster-ips { ${clusterIP} }`,
    ...clusterBackends
      .filter(({ isLocal }) => isLocal)
      .map(
        ({ address, port: at }) =>
          `add element ${t} hairpin-connections { ${address} . ${address} . ${protocol} . ${at} }`,
      ),
    ...[...externalIPs, ...loadBalancerVIPs].map(
      (vip) => `add element ${t} service-ips { ${vip} . ${keyOf(port)} : goto external-${chain} }`,
    ),
    ...(nodePort === 0
      ? []
      : [`add element ${t} service-nodeports { ${protocol} . ${nodePort} : goto external-${chain} }`]),
  ];
}

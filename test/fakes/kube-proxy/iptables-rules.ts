import { createHash } from 'node:crypto';
import type { Family } from '../../../src/core/ip.ts';
import type { Backend, ServicePort } from '../../../src/core/service/snapshot.ts';

export interface RulesOptions {
  readonly clusterCIDR: string;
  readonly flavour: string;
  readonly run: (program: string, args: readonly string[], input?: string) => Promise<string>;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The first 16 characters of the base32 of a SHA-256, as kube-proxy names its chains. */
function suffix(text: string): string {
  const bytes = createHash('sha256').update(text).digest();
  let name = '';
  for (let bit = 0; name.length < 16; bit += 5) {
    const pair = ((bytes[bit >> 3] ?? 0) << 8) | (bytes[(bit >> 3) + 1] ?? 0);
    name += ALPHABET[(pair >> (11 - (bit & 7))) & 31] ?? '';
  }
  return name;
}

const comment = (text: string) => `-m comment --comment "${text}"`;
export const NAT_JUMPS: readonly (readonly [string, string])[] = [
  ['PREROUTING', `${comment('kubernetes service portals')} -j KUBE-SERVICES`],
  ['OUTPUT', `${comment('kubernetes service portals')} -j KUBE-SERVICES`],
  ['POSTROUTING', `${comment('kubernetes postrouting rules')} -j KUBE-POSTROUTING`],
];
const NEW = '-m conntrack --ctstate NEW';
const FILTER_JUMPS: readonly (readonly [string, string])[] = [
  ['INPUT', `${NEW} ${comment('kubernetes externally-visible service portals')} -j KUBE-EXTERNAL-SERVICES`],
  ['FORWARD', `${NEW} ${comment('kubernetes externally-visible service portals')} -j KUBE-EXTERNAL-SERVICES`],
  ['INPUT', `${comment('kubernetes health check service ports')} -j KUBE-NODEPORTS`],
  ['FORWARD', `${NEW} ${comment('kubernetes service portals')} -j KUBE-SERVICES`],
  ['OUTPUT', `${NEW} ${comment('kubernetes service portals')} -j KUBE-SERVICES`],
  ['FORWARD', `${comment('kubernetes forwarding rules')} -j KUBE-FORWARD`],
  ['INPUT', `${NEW} ${comment('kubernetes load balancer firewall')} -j KUBE-PROXY-FIREWALL`],
  ['OUTPUT', `${NEW} ${comment('kubernetes load balancer firewall')} -j KUBE-PROXY-FIREWALL`],
  ['FORWARD', `${NEW} ${comment('kubernetes load balancer firewall')} -j KUBE-PROXY-FIREWALL`],
  ['INPUT', '-j KUBE-FIREWALL'],
  ['OUTPUT', '-j KUBE-FIREWALL'],
];
const NAT_CHAINS = ['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ', 'KUBE-PROXY-CANARY'];
const FILTER_CHAINS = [
  'KUBE-SERVICES',
  'KUBE-EXTERNAL-SERVICES',
  'KUBE-NODEPORTS',
  'KUBE-FORWARD',
  'KUBE-PROXY-FIREWALL',
  'KUBE-PROXY-CANARY',
];

export const MASQUERADING = [
  '-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000',
  '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
  '-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000',
  `-A KUBE-POSTROUTING ${comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE --random-fully`,
];

/** Makes the rules that lead to kube-proxy's chains, where they are missing. */
export async function ensureJumps(
  { run, flavour }: RulesOptions,
  family: Family,
  jumps: readonly (readonly [string, string, string])[],
): Promise<void> {
  const tool = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${flavour}`;
  const saved = await run(`${tool}-save`, []);
  for (const [table, chain, rule] of jumps) {
    const text = saved.slice(saved.indexOf(`*${table}`)).split('\nCOMMIT')[0] ?? '';
    const target = rule.split(' -j ')[1] ?? '';
    if (new RegExp(`^-A ${chain} .*-j ${target}$`, 'm').test(text)) continue;
    await run(`${tool}-restore`, ['--noflush', '-w', '5'], `*${table}\n-I ${chain} ${rule}\nCOMMIT\n`);
  }
}

/** kube-proxy in iptables mode, both families. */
export class IptablesRules {
  readonly #options: RulesOptions;
  readonly #chains = new Map<Family, ReadonlySet<string>>();

  constructor(options: RulesOptions) {
    this.#options = options;
  }

  async sync(all: readonly ServicePort[]): Promise<void> {
    for (const family of ['IPv4', 'IPv6'] as const) {
      await this.#syncFamily(
        family,
        all.filter((port) => port.family === family),
      );
    }
  }

  async #syncFamily(family: Family, ports: readonly ServicePort[]): Promise<void> {
    const { run, flavour } = this.#options;
    const tool = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${flavour}`;
    const nat: string[] = [...MASQUERADING];
    const filter: string[] = [
      `-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP`,
      `-A KUBE-FORWARD ${comment('kubernetes forwarding rules')} -m mark --mark 0x4000/0x4000 -j ACCEPT`,
      `-A KUBE-FORWARD ${comment('kubernetes forwarding conntrack rule')} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    ];
    const chains = new Set<string>();
    for (const port of ports) this.#servicePort(family, port, { nat, filter, chains });
    nat.push(
      `-A KUBE-SERVICES ${comment('kubernetes service nodeports; NOTE: this must be the last rule in this chain')} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`,
    );
    const stale = [...(this.#chains.get(family) ?? [])].filter((chain) => !chains.has(chain));
    const declare = (names: Iterable<string>) => [...names].map((name) => `:${name} - [0:0]`);
    const input = [
      '*mangle',
      ':KUBE-PROXY-CANARY - [0:0]',
      'COMMIT',
      '*filter',
      ':KUBE-FIREWALL - [0:0]',
      ...declare(FILTER_CHAINS),
      ...filter,
      'COMMIT',
      '*nat',
      ...declare([...NAT_CHAINS, ...chains, ...stale]),
      ...nat,
      ...stale.map((name) => `-X ${name}`),
      'COMMIT',
      '',
    ].join('\n');
    await run(`${tool}-restore`, ['--noflush', '-w', '5'], input);
    if (!this.#chains.has(family)) {
      await ensureJumps(this.#options, family, [
        ...FILTER_JUMPS.map(([chain, rule]) => ['filter', chain, rule] as const),
        ...NAT_JUMPS.map(([chain, rule]) => ['nat', chain, rule] as const),
      ]);
    }
    this.#chains.set(family, chains);
  }

  #servicePort(
    family: Family,
    port: ServicePort,
    out: { readonly nat: string[]; readonly filter: string[]; readonly chains: Set<string> },
  ): void {
    const { nat, filter, chains } = out;
    const bits = family === 'IPv4' ? 32 : 128;
    const protocol = port.protocol.toLowerCase();
    const name = nameOf(port);
    const at = (address: string) => `-d ${address}/${bits} -p ${protocol} -m ${protocol} --dport ${port.port}`;
    const nodePort = `-p ${protocol} -m ${protocol} --dport ${port.nodePort}`;
    const externals = [...port.externalIPs, ...port.loadBalancerVIPs];
    if (port.clusterBackends.length === 0) {
      const why = comment(`${name} has no endpoints`);
      filter.push(`-A KUBE-SERVICES ${at(port.clusterIP)} ${why} -j REJECT`);
      for (const address of externals) filter.push(`-A KUBE-EXTERNAL-SERVICES ${at(address)} ${why} -j REJECT`);
      if (port.nodePort > 0)
        filter.push(`-A KUBE-EXTERNAL-SERVICES ${nodePort} -m addrtype --dst-type LOCAL ${why} -j REJECT`);
      return;
    }
    const id = suffix(`${name}${protocol}`);
    const [service, external] = [`KUBE-SVC-${id}`, `KUBE-EXT-${id}`];
    chains.add(service);
    nat.push(`-A KUBE-SERVICES ${at(port.clusterIP)} ${comment(`${name} cluster IP`)} -j ${service}`);
    const { clusterCIDR } = this.#options;
    if (clusterCIDR !== '' && family === 'IPv4')
      nat.push(`-A ${service} ! -s ${clusterCIDR} ${at(port.clusterIP)} -j KUBE-MARK-MASQ`);
    if (externals.length > 0 || port.nodePort > 0) {
      chains.add(external);
      nat.push(`-A ${external} ${comment(`masquerade traffic for ${name} external destinations`)} -j KUBE-MARK-MASQ`);
      nat.push(`-A ${external} -j ${service}`);
      for (const address of externals)
        nat.push(`-A KUBE-SERVICES ${at(address)} ${comment(`${name} external IP`)} -j ${external}`);
      if (port.nodePort > 0) nat.push(`-A KUBE-NODEPORTS ${nodePort} ${comment(name)} -j ${external}`);
    }
    this.#endpoints(port, service, { nat, chains });
  }

  #endpoints(port: ServicePort, service: string, out: { readonly nat: string[]; readonly chains: Set<string> }): void {
    const { nat, chains } = out;
    const bits = port.family === 'IPv4' ? 32 : 128;
    const protocol = port.protocol.toLowerCase();
    const name = nameOf(port);
    const endpoint = (backend: Backend) => `KUBE-SEP-${suffix(`${name}${protocol}${textOf(backend)}`)}`;
    if (port.affinitySeconds > 0) {
      for (const backend of port.clusterBackends) {
        const chain = endpoint(backend);
        const recent = `-m recent --name ${chain} --rcheck --seconds ${port.affinitySeconds} --reap --rsource`;
        nat.push(`-A ${service} ${comment(name)} ${recent} -j ${chain}`);
      }
    }
    port.clusterBackends.forEach((backend, index, { length }) => {
      const chain = endpoint(backend);
      const left = length - index;
      const chance = left === 1 ? '' : `-m statistic --mode random --probability ${(1 / left).toFixed(10)} `;
      const remember = port.affinitySeconds > 0 ? `-m recent --name ${chain} --set --rsource ` : '';
      const target = `-m ${protocol} -j DNAT --to-destination ${textOf(backend)}`;
      chains.add(chain);
      nat.push(`-A ${service} ${comment(`${name} -> ${textOf(backend)}`)} ${chance}-j ${chain}`);
      nat.push(`-A ${chain} -s ${backend.address}/${bits} ${comment(name)} -j KUBE-MARK-MASQ`);
      nat.push(`-A ${chain} -p ${protocol} ${comment(name)} ${remember}${target}`);
    });
  }
}

function nameOf({ namespace, name, portName }: ServicePort): string {
  return `${namespace}/${name}${portName === '' ? '' : `:${portName}`}`;
}

export function textOf({ address, port }: Backend): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

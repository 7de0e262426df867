import type { RenderedConfig } from '../api/node-proxy-state.ts';
import type { Family } from '../ip.ts';
import type { Mode } from '../mode.ts';

/**
 * - `loaded`, `builtIn`: the kernel has it now.
 * - `loadable`: its file is there.
 * - `absent`: neither in the kernel nor among its module files.
 * - `unknown`: this kernel tells nothing of its modules, as in a container without /lib/modules.
 */
export const MODULE_STATES = ['loaded', 'builtIn', 'loadable', 'absent', 'unknown'] as const;
export type ModuleState = (typeof MODULE_STATES)[number];

export interface ModuleNeed {
  /** As /proc/modules writes it: with underscores. */
  readonly name: string;
  /** The option of the kernel's configuration; absent for a module that the profile names. */
  readonly option?: string;
}

export const IPTABLES_FLAVOURS = ['nft', 'legacy'] as const;
export type IptablesFlavour = (typeof IPTABLES_FLAVOURS)[number];

export interface ModuleTraits {
  readonly families: readonly Family[];
  /** What plain `iptables` is here; nft where it is not installed. */
  readonly iptablesFlavour: IptablesFlavour;
}

/** Module names to the options that bring them, Linux 5.10 and later. */
const OPTIONS = {
  nf_conntrack: 'NF_CONNTRACK',
  nf_conntrack_netlink: 'NF_CT_NETLINK',
  nf_nat: 'NF_NAT',
  nf_tables: 'NF_TABLES',
  nft_chain_nat: 'NFT_NAT',
  nft_ct: 'NFT_CT',
  nft_nat: 'NFT_NAT',
  nft_masq: 'NFT_MASQ',
  nft_numgen: 'NFT_NUMGEN',
  nft_hash: 'NFT_HASH',
  nft_fib: 'NFT_FIB',
  nft_fib_ipv4: 'NFT_FIB_IPV4',
  nft_fib_ipv6: 'NFT_FIB_IPV6',
  nft_reject: 'NFT_REJECT',
  nft_reject_ipv4: 'NFT_REJECT_IPV4',
  nft_reject_ipv6: 'NFT_REJECT_IPV6',
  nft_compat: 'NFT_COMPAT',
  ip_tables: 'IP_NF_IPTABLES',
  iptable_nat: 'IP_NF_NAT',
  iptable_filter: 'IP_NF_FILTER',
  ip6_tables: 'IP6_NF_IPTABLES',
  ip6table_nat: 'IP6_NF_NAT',
  ip6table_filter: 'IP6_NF_FILTER',
  x_tables: 'NETFILTER_XTABLES',
  xt_addrtype: 'NETFILTER_XT_MATCH_ADDRTYPE',
  xt_comment: 'NETFILTER_XT_MATCH_COMMENT',
  xt_conntrack: 'NETFILTER_XT_MATCH_CONNTRACK',
  xt_recent: 'NETFILTER_XT_MATCH_RECENT',
  xt_statistic: 'NETFILTER_XT_MATCH_STATISTIC',
  xt_tcpudp: 'NETFILTER_XTABLES',
  xt_mark: 'NETFILTER_XT_MARK',
  xt_nat: 'NETFILTER_XT_NAT',
  xt_MASQUERADE: 'NETFILTER_XT_TARGET_MASQUERADE',
  ipt_REJECT: 'IP_NF_TARGET_REJECT',
  ip6t_REJECT: 'IP6_NF_TARGET_REJECT',
  ip_vs: 'IP_VS',
  ip_vs_sh: 'IP_VS_SH',
  dummy: 'DUMMY',
  ip_set: 'IP_SET',
  ip_set_hash_ip: 'IP_SET_HASH_IP',
  ip_set_hash_ipport: 'IP_SET_HASH_IPPORT',
  ip_set_hash_ipportip: 'IP_SET_HASH_IPPORTIP',
  ip_set_hash_ipportnet: 'IP_SET_HASH_IPPORTNET',
  ip_set_bitmap_port: 'IP_SET_BITMAP_PORT',
  xt_set: 'NETFILTER_XT_SET',
} as const satisfies Record<string, string>;
type KnownModule = keyof typeof OPTIONS;

const XTABLES = [
  'x_tables',
  'xt_addrtype',
  'xt_comment',
  'xt_conntrack',
  'xt_recent',
  'xt_statistic',
  'xt_tcpudp',
  'xt_mark',
  'xt_nat',
  'xt_MASQUERADE',
] as const satisfies readonly KnownModule[];

/** The anchor is an nftables table, whatever the mode; stale flows are deleted over netlink. */
const ANCHOR = [
  'nf_conntrack',
  'nf_conntrack_netlink',
  'nf_nat',
  'nf_tables',
  'nft_chain_nat',
  'nft_ct',
] as const satisfies readonly KnownModule[];

const NFTABLES = ['nft_nat', 'nft_masq', 'nft_numgen', 'nft_hash', 'nft_fib', 'nft_reject'] as const;

/** A Service may ask for the scheduler `sh` by annotation. The dummy device shows the addresses of Services. */
const IPVS = [
  'ip_vs',
  'ip_vs_sh',
  'dummy',
  'ip_set',
  'ip_set_hash_ip',
  'ip_set_hash_ipport',
  'ip_set_hash_ipportip',
  'ip_set_hash_ipportnet',
  'ip_set_bitmap_port',
  'xt_set',
] as const satisfies readonly KnownModule[];

const PER_FAMILY = {
  nftables: {
    IPv4: ['nft_fib_ipv4', 'nft_reject_ipv4'],
    IPv6: ['nft_fib_ipv6', 'nft_reject_ipv6'],
  },
  xtables: { IPv4: ['ipt_REJECT'], IPv6: ['ip6t_REJECT'] },
  legacy: {
    IPv4: ['ip_tables', 'iptable_nat', 'iptable_filter'],
    IPv6: ['ip6_tables', 'ip6table_nat', 'ip6table_filter'],
  },
} as const satisfies Record<string, Record<Family, readonly KnownModule[]>>;

/**
 * Every module that a mode uses on a node, with what the profile adds. All are loaded beforehand and by name, though most
 * would load on demand: so they are known to be ours, and one that is missing is known before anything is touched.
 */
export function modulesFor(
  mode: Mode,
  { ipvs, kernel }: Pick<RenderedConfig, 'ipvs' | 'kernel'>,
  traits: ModuleTraits,
): readonly ModuleNeed[] {
  const known: KnownModule[] = [...ANCHOR, ...modeModules(mode, traits)];
  const needs: ModuleNeed[] = known.map((name) => ({ name, option: `CONFIG_${OPTIONS[name]}` }));
  if (mode === 'ipvs') {
    needs.push({ name: `ip_vs_${ipvs.scheduler}`, option: `CONFIG_IP_VS_${ipvs.scheduler.toUpperCase()}` });
  }
  needs.push(...kernel.modules.extra.map((name) => ({ name: moduleName(name) })));
  return [...new Map(needs.map((need) => [need.name, need])).values()];
}

function modeModules(mode: Mode, { families, iptablesFlavour }: ModuleTraits): KnownModule[] {
  const each = (of: Record<Family, readonly KnownModule[]>) => families.flatMap((family) => of[family]);
  if (mode === 'nftables') return [...NFTABLES, ...each(PER_FAMILY.nftables)];
  const flavour: readonly KnownModule[] = iptablesFlavour === 'nft' ? ['nft_compat'] : each(PER_FAMILY.legacy);
  return [...XTABLES, ...flavour, ...each(PER_FAMILY.xtables), ...(mode === 'ipvs' ? IPVS : [])];
}

/** As /proc/modules writes a name: modprobe takes hyphens too. */
export function moduleName(name: string): string {
  return name.replaceAll('-', '_');
}

/** The file for /etc/modules-load.d. */
export function modulesLoadFile(modules: readonly string[]): string {
  return `# Written by Switchyard, which removes it on release: what the Service proxy of this node needs.\n${modules.map((name) => `${name}\n`).join('')}`;
}

/**
 * Loading this one makes a link (dummy0) unless it is told not to, and no setting at boot waits for it, so it is left to
 * the agent.
 */
export const NOT_AT_BOOT: ReadonlySet<string> = new Set(['dummy']);

/** Parameters for modprobe. */
export function moduleParameters(name: string): readonly string[] {
  return name === 'dummy' ? ['numdummies=0'] : [];
}

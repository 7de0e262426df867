export const COMPARISONS = ['Equal', 'AtLeast', 'AtMost'] as const;
export type Comparison = (typeof COMPARISONS)[number];

/**
 * The settings that a profile may name: those of the network that concern Services, on the whole node. Nothing here can
 * run a program, load code or open the node to others beyond what its firewall lets in.
 */
export const SYSCTL_NAME = new RegExp(
  `^net\\.(${[
    'netfilter\\.nf_conntrack_[a-z0-9_]+',
    'core\\.(somaxconn|netdev_max_backlog|netdev_budget|netdev_budget_usecs|optmem_max|[rw]mem_(max|default))',
    'ipv4\\.(ip_forward|ip_local_port_range|ip_local_reserved_ports|ip_nonlocal_bind|ip_no_pmtu_disc)',
    'ipv4\\.(tcp|udp|vs|ipfrag|igmp)[._][a-z0-9_]+',
    'ipv6\\.(ip6frag_[a-z0-9_]+|ip_nonlocal_bind|bindv6only)',
    'ipv[46]\\.neigh\\.default\\.(gc_[a-z0-9_]+|base_reachable_time_ms|unres_qlen_bytes)',
    'ipv4\\.conf\\.(all|default)\\.(arp_(ignore|announce|filter|notify)|rp_filter|route_localnet|forwarding|src_valid_mark)',
    'ipv6\\.conf\\.(all|default)\\.(forwarding|accept_ra|disable_ipv6|accept_dad|keep_addr_on_down)',
    'bridge\\.bridge-nf-call-(ip|ip6|arp)tables',
  ].join('|')})$`,
);

/** Numbers, ranges and lists of ports; no words. */
export const SYSCTL_VALUE = /^-?[0-9][0-9 ,\t-]*$/;

/** Writing these would act at once on traffic or tell of it, or the kernel refuses it: they are to look at. */
const READ_ONLY = new Set(['net.netfilter.nf_conntrack_count']);

export function isAllowedSysctl(name: string): boolean {
  return SYSCTL_NAME.test(name) && !READ_ONLY.has(name);
}

export function isSingleNumber(value: string): boolean {
  return /^-?[0-9]{1,18}$/.test(value.trim());
}

/** The path below /proc/sys. */
export function sysctlPath(name: string): string {
  return name.replaceAll('.', '/');
}

/** The kernel separates numbers by tabs, people by spaces. */
export function normalValue(value: string): string {
  return value.trim().replace(/\s+/g, ' ');
}

/**
 * Who asks for a setting: the profile by name, the mode, something that the mode can do without, or the defaults for
 * connection tracking.
 */
export type SysctlSource = 'profile' | 'mode' | 'extra' | 'conntrack';

export interface DesiredSysctl {
  readonly name: string;
  readonly value: string;
  readonly compare: Comparison;
  readonly source: SysctlSource;
}

/** A setting and how it stands. */
export interface SysctlState extends DesiredSysctl {
  readonly actual: string | null;
  /** Before our first write; null when we never wrote it. */
  readonly original: string | null;
  /** Why it is not as wanted; null when it is. */
  readonly problem: string | null;
  readonly drifts: number;
  /** Wall clock. */
  readonly lastDriftMs: number | null;
}

/** A setting that a revision named once and the present one does not. */
export interface HeldSysctl {
  readonly name: string;
  readonly actual: string | null;
  /** Comes back on release. */
  readonly original: string;
}

/** A change fails when this setting cannot be applied. Sizes of the node's own table are no reason to fail. */
export function isRequired({ source }: DesiredSysctl): boolean {
  return source === 'profile' || source === 'mode';
}

/**
 * With it a packet from elsewhere may reach what listens on loopback only (CVE-2020-8558), unless the anchor's guard drops
 * it. At boot nobody guards, so it is left to the agent.
 */
export const ROUTE_LOCALNET = 'net.ipv4.conf.all.route_localnet';

/** Whether the value that the kernel has is as wanted. */
export function isSatisfied({ value, compare }: DesiredSysctl, actual: string): boolean {
  switch (compare) {
    case 'Equal':
      return normalValue(actual) === normalValue(value);
    case 'AtLeast':
      return isSingleNumber(actual) && BigInt(actual.trim()) >= BigInt(value.trim());
    case 'AtMost':
      return isSingleNumber(actual) && BigInt(actual.trim()) <= BigInt(value.trim());
  }
}

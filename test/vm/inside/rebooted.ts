/** What the two boots of the reboot test share. */
export const REBOOTED = {
  config: {
    mode: 'nftables',
    kernel: {
      modules: { extra: ['br_netfilter'] },
      sysctls: [
        { name: 'net.core.netdev_max_backlog', value: '4321' },
        { name: 'net.bridge.bridge-nf-call-iptables', value: '0' },
      ],
    },
  },
  modules: ['nf_conntrack', 'br_netfilter', 'nft_nat'],
  sysctls: [
    'net.core.netdev_max_backlog',
    'net.bridge.bridge-nf-call-iptables',
    'net.netfilter.nf_conntrack_max',
    'net.netfilter.nf_conntrack_buckets',
    'net.netfilter.nf_conntrack_tcp_timeout_established',
    'net.ipv4.ip_forward',
  ],
} as const;

export interface BeforeReboot {
  /** The node before the agent was ever started. */
  readonly bare: readonly string[];
  /** The settings while it served. */
  readonly settings: Readonly<Record<string, string>>;
}

import type { BuiltinChain, Table } from '../iptables/fragment.ts';

/**
 * What kube-proxy 1.36 and its predecessors make in the tables of iptables. KUBE-FIREWALL, KUBE-KUBELET-CANARY and
 * KUBE-MARK-DROP are kubelet's and stay.
 */
const CHAINS: Readonly<Record<Table, RegExp>> = {
  filter:
    /^KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|FORWARD|PROXY-FIREWALL|PROXY-CANARY|NODE-PORT|SOURCE-RANGES-FIREWALL|IPVS-FILTER|IPVS-OUT-FILTER)$/,
  nat: /^KUBE-(SERVICES|NODEPORTS|POSTROUTING|MARK-MASQ|PROXY-CANARY|NODE-PORT|LOAD-BALANCER|(SVC|SVL|XLB|EXT|FW|SEP)-[A-Z0-9]+)$/,
  mangle: /^KUBE-PROXY-CANARY$/,
};

/** The chains that kube-proxy itself jumps to from built-in ones; any other way there is somebody else's. */
const ENTRANCES =
  /^KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|FORWARD|PROXY-FIREWALL|NODE-PORT|IPVS-FILTER|IPVS-OUT-FILTER|POSTROUTING)$/;

export const FORWARD = 'KUBE-FORWARD';
export const MARK_MASQ = 'KUBE-MARK-MASQ';
export const POSTROUTING = 'KUBE-POSTROUTING';
export const SERVICES = 'KUBE-SERVICES';
export const NODE_PORTS = 'KUBE-NODEPORTS';

export function isKubeProxyChain(table: Table, chain: string): boolean {
  return CHAINS[table].test(chain);
}

export function isKubeProxyJump(_from: BuiltinChain, target: string): boolean {
  return ENTRANCES.test(target);
}

/** The table of kube-proxy's nftables mode, in the families ip and ip6. */
export const NFT_TABLE = 'kube-proxy';
/** The device that holds the addresses of Services in IPVS mode. */
export const VIP_DEVICE = 'kube-ipvs0';

const SETS = [
  'LOOP-BACK',
  'CLUSTER-IP',
  'EXTERNAL-IP',
  'EXTERNAL-IP-LOCAL',
  'LOAD-BALANCER',
  'LOAD-BALANCER-LOCAL',
  'LOAD-BALANCER-FW',
  'LOAD-BALANCER-SOURCE-IP',
  'LOAD-BALANCER-SOURCE-CIDR',
  'NODE-PORT-TCP',
  'NODE-PORT-LOCAL-TCP',
  'NODE-PORT-UDP',
  'NODE-PORT-LOCAL-UDP',
  'NODE-PORT-SCTP-HASH',
  'NODE-PORT-LOCAL-SCTP-HASH',
  'HEALTH-CHECK-NODE-PORT',
  'IPVS-IPS',
] as const;
/** The kernel's limit for names of sets is 31 characters; kube-proxy cuts those of IPv6. */
const MAX_SET_NAME = 31;

/** Every ipset that kube-proxy's IPVS mode makes, those of IPv6 too, which its own clean-up forgets. */
export const SET_NAMES: ReadonlySet<string> = new Set(
  SETS.flatMap((name) => [`KUBE-${name}`, `KUBE-6-${name}`.slice(0, MAX_SET_NAME)]),
);

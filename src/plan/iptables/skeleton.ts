import type { Family } from '../../core/ip.ts';
import type { DataplaneOptions } from '../../core/service/snapshot.ts';
import type { BuiltinChain, Chain, Jump, ListChain, Table } from './fragment.ts';
import { localSources, markHex, nodePortDestinations, rule } from './match.ts';
import { FORWARD, HEALTH, MARK_MASQ, MASQ_REMOTE, NODE_PORTS, POSTROUTING, REFUSE, SERVICES } from './names.ts';

/** What the rules depend on that is not ours to decide. */
export interface KernelSettings {
  /** `net.netfilter.nf_conntrack_tcp_be_liberal`: packets outside of the window are not invalid, so none are dropped. */
  readonly isTcpLiberal: boolean;
}

/** The chains that exist whatever Services there are, and what leads to them. */
export interface Skeleton {
  readonly chains: readonly Chain[];
  readonly lists: readonly ListChain[];
  readonly jumps: readonly Jump[];
}

export function planSkeleton(options: DataplaneOptions, family: Family, kernel: KernelSettings): Skeleton {
  return {
    chains: [...natChains(options, family), forwardChain(options, kernel)],
    lists: planLists(options, family),
    jumps: JUMPS,
  };
}

function forwardChain(options: DataplaneOptions, kernel: KernelSettings): Chain {
  const mark = markHex(options);
  return {
    table: 'filter',
    name: FORWARD,
    about: 'lets Service traffic through a FORWARD chain whose policy is DROP',
    rules: [
      // A packet that conntrack cannot place would leave untranslated, and its receiver would reset the connection.
      ...(kernel.isTcpLiberal ? [] : [DROP_INVALID]),
      `-m mark --mark ${mark}/${mark} -j ACCEPT`,
      '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ],
  };
}

function natChains(options: DataplaneOptions, family: Family): readonly Chain[] {
  const mark = markHex(options);
  const local = localSources(options, family);
  return [
    {
      table: 'nat',
      name: MARK_MASQ,
      about: 'marks a packet for masquerading',
      rules: [`-j MARK --set-xmark ${mark}/${mark}`],
    },
    {
      table: 'nat',
      name: MASQ_REMOTE,
      about: 'marks what does not come from a pod',
      rules: local.length === 0 ? [] : [...local.map((source) => rule(source, 'RETURN')), `-j ${MARK_MASQ}`],
    },
    {
      table: 'nat',
      name: POSTROUTING,
      about: 'masquerades marked packets',
      rules: [
        `-m mark ! --mark ${mark}/${mark} -j RETURN`,
        // Clears the bit, so that a packet that passes here twice (tunnels) is not masqueraded twice.
        `-j MARK --set-xmark ${mark}/0x0`,
        // By itself, so that it is counted.
        ...(options.localhostNodePorts && family === 'IPv4' ? [FROM_LOCALHOST] : []),
        '-j MASQUERADE --random-fully',
      ],
    },
  ];
}

function planLists(options: DataplaneOptions, family: Family): readonly ListChain[] {
  const nodePorts = nodePortDestinations(options, family).map((match) => rule(match, NODE_PORTS));
  return [
    // Last: an address of the node may also be a VIP.
    { table: 'nat', name: SERVICES, tail: nodePorts },
    { table: 'nat', name: NODE_PORTS, tail: [] },
    { table: 'filter', name: REFUSE, tail: nodePorts },
    { table: 'filter', name: NODE_PORTS, tail: [] },
    { table: 'filter', name: HEALTH, tail: [] },
  ];
}

/** In our POSTROUTING: connections of processes of the node to NodePorts on localhost. */
export const FROM_LOCALHOST = '-s 127.0.0.0/8 -j MASQUERADE --random-fully';
/** In our FORWARD: what connection tracking cannot place. */
export const DROP_INVALID = '-m conntrack --ctstate INVALID -j DROP';

const NEW = '-m conntrack --ctstate NEW';

/** In the order in which they shall stand in their built-in chain. */
const JUMPS: readonly Jump[] = [
  jump('nat', 'PREROUTING', `-j ${SERVICES}`),
  jump('nat', 'OUTPUT', `-j ${SERVICES}`),
  jump('nat', 'POSTROUTING', `-j ${POSTROUTING}`),
  // Only new connections are refused: established ones outlive the loss of all endpoints.
  jump('filter', 'INPUT', `${NEW} -j ${REFUSE}`),
  jump('filter', 'INPUT', `-j ${HEALTH}`),
  jump('filter', 'FORWARD', `${NEW} -j ${REFUSE}`),
  jump('filter', 'FORWARD', `-j ${FORWARD}`),
  jump('filter', 'OUTPUT', `${NEW} -j ${REFUSE}`),
];

function jump(table: Table, chain: BuiltinChain, rule: string): Jump {
  return { table, chain, rule };
}

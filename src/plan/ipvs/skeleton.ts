import type { Family } from '../../core/ip.ts';
import type { DataplaneOptions } from '../../core/service/snapshot.ts';
import type { BuiltinChain, Chain, Jump, Table } from '../iptables/fragment.ts';
import { localSources, markHex, masqueradesClusterIPs, rejectTarget, rule } from '../iptables/match.ts';
import type { Operation } from '../iptables/operation.ts';
import { chainKey, type Ruleset } from '../iptables/ruleset.ts';
import type { Saved } from '../iptables/saved.ts';
import { CLUSTER_IPS, FORWARD, INPUT, INSIDE, MARK_MASQ, OUTPUT, POSTROUTING, REFUSE, SERVICES } from './names.ts';
import { setName, type SetRole } from './sets.ts';

/** The chains around IPVS. No Service has rules of its own: what changes is in the sets. */
export function planChains(options: DataplaneOptions, family: Family): Ruleset {
  const chains = [...natChains(options, family), outputChain(family), ...filterChains(options, family)];
  return {
    chains: new Map(chains.map((chain) => [chainKey(chain.table, chain.name), chain])),
    lists: new Map(),
    jumps: JUMPS,
  };
}

function natChains(options: DataplaneOptions, family: Family): readonly Chain[] {
  const mark = markHex(options);
  const inSet = matcher(family);
  return [
    chain('nat', SERVICES, 'marks packets to Services for masquerading', [
      `${inSet('cluster-ips', 'dst,dst')} -g ${CLUSTER_IPS}`,
      `${inSet('external', 'dst,dst')} -g ${MARK_MASQ}`,
      // The rest is policy Local, which keeps the client's address unless it is one of this node.
      `${inSet('frontends', 'dst,dst')} -m addrtype --src-type LOCAL -j ${MARK_MASQ}`,
    ]),
    chain('nat', CLUSTER_IPS, 'marks what does not come from a pod', clusterIPRules(options, family)),
    chain('nat', MARK_MASQ, 'marks a packet for masquerading', [`-j MARK --set-xmark ${mark}/${mark}`]),
    chain('nat', POSTROUTING, 'masquerades marked packets, and pods that reach themselves', [
      `${inSet('hairpin', 'dst,dst,src')} -j MASQUERADE --random-fully`,
      // No endpoint could answer an address of a Service; a process of this node may have bound its socket to one.
      `${inSet('vips', 'src')} -j MASQUERADE --random-fully`,
      `-m mark ! --mark ${mark}/${mark} -j RETURN`,
      // Clears the bit, so that a packet that passes here twice (tunnels) is not masqueraded twice.
      `-j MARK --set-xmark ${mark}/0x0`,
      '-j MASQUERADE --random-fully',
    ]),
  ];
}

function clusterIPRules(options: DataplaneOptions, family: Family): readonly string[] {
  if (!masqueradesClusterIPs(options, family)) return [];
  const pods = options.masqueradeAll ? [] : localSources(options, family);
  return [...pods.map((source) => rule(source, 'RETURN')), `-j ${MARK_MASQ}`];
}

/** IPVS takes what this node sends before the table filter sees it: what is refused must be refused here. */
function outputChain(family: Family): Chain {
  return chain('mangle', OUTPUT, 'refuses what this node sends', dropRules(family));
}

function dropRules(family: Family): readonly string[] {
  const inSet = matcher(family);
  return [
    `${inSet('restricted', 'dst,dst')} -m set ! --match-set ${setName('ranges', family)} dst,dst,src -j DROP`,
    `${inSet('dropped', 'dst,dst')} -j DROP`,
  ];
}

function filterChains(options: DataplaneOptions, family: Family): readonly Chain[] {
  const inSet = matcher(family);
  const icmp = family === 'IPv4' ? 'icmp' : 'ipv6-icmp';
  return [
    chain('filter', INPUT, 'lets in what is for a Service', [
      `-p tcp ${inSet('health', 'dst')} -j ACCEPT`,
      `${NEW} -j ${REFUSE}`,
      // Other modes forward this traffic, so what a host's firewall says of INPUT would not concern it either.
      `${inSet('frontends', 'dst,dst')} -j ACCEPT`,
    ]),
    chain('filter', REFUSE, 'refuses new connections', [
      ...dropRules(family),
      `${inSet('inside', 'dst,dst')} -j ${INSIDE}`,
      ...rejectRules(inSet('rejected', 'dst,dst'), family),
      `${inSet('frontends', 'dst,dst')} -j RETURN`,
      // The node's own servers must not answer at a Service's address; pings may be answered.
      `-p ${icmp} -j RETURN`,
      ...rejectRules(inSet('vips', 'dst'), family),
    ]),
    chain('filter', INSIDE, 'lets pods and this node through', [
      ...localSources(options, family).map((source) => rule(source, 'RETURN')),
      '-m addrtype --src-type LOCAL -j RETURN',
      '-j DROP',
    ]),
    chain('filter', FORWARD, 'lets answers through a FORWARD chain whose policy is DROP', [
      '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ]),
  ];
}

function rejectRules(match: string, family: Family): readonly string[] {
  return [`-p tcp ${match} ${rejectTarget(family, 'TCP')}`, `${match} ${rejectTarget(family)}`];
}

const NEW = '-m conntrack --ctstate NEW';

const JUMPS: readonly Jump[] = [
  jump('nat', 'PREROUTING', `-j ${SERVICES}`),
  jump('nat', 'OUTPUT', `-j ${SERVICES}`),
  jump('nat', 'POSTROUTING', `-j ${POSTROUTING}`),
  jump('mangle', 'OUTPUT', `${NEW} -j ${OUTPUT}`),
  jump('filter', 'INPUT', `-j ${INPUT}`),
  jump('filter', 'FORWARD', `-j ${FORWARD}`),
];

function jump(table: Table, chain: BuiltinChain, rule: string): Jump {
  return { table, chain, rule };
}

function chain(table: Table, name: string, about: string, rules: readonly string[]): Chain {
  return { table, name, about, rules };
}

function matcher(family: Family): (role: SetRole, flags: string) => string {
  return (role, flags) => `-m set --match-set ${setName(role, family)} ${flags}`;
}

/** What makes nothing be refused any more; everything that serves stays. */
export function planRefusalRemoval(saved: Saved): readonly Operation[] {
  const input = saved.chains.get(chainKey('filter', INPUT));
  return [
    ...saved.jumps
      .filter(({ table }) => table === 'mangle')
      .map((each): Operation => ({ kind: 'deleteRule', ...each })),
    ...(input === undefined
      ? []
      : [
          {
            kind: 'writeChain',
            ...chain(
              'filter',
              INPUT,
              'being removed',
              input.filter((each) => !each.endsWith(` -j ${REFUSE}`)),
            ),
          } as const,
        ]),
  ];
}

/** What removes the rest. */
export function planChainRemoval(saved: Saved): readonly Operation[] {
  return [
    ...saved.jumps.map((each): Operation => ({ kind: 'deleteRule', ...each })),
    ...[...saved.chains.keys()].map((key): Operation => {
      const [table, name = ''] = key.split(' ');
      return { kind: 'removeChain', table: table as Table, chain: name };
    }),
  ];
}

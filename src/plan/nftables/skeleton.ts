import { addressBytes, join, numberBytes, protocolNumber } from './bytes.ts';
import { markUnlessFromPodChain, matchPrefix } from './detector.ts';
import type { RuleContext } from './detector.ts';
import { dispatchRule } from './dispatch.ts';
import type { Expression } from './expression.ts';
import { loadAddress, loadFrontend, loadNodePort, loadProtocol, matchLocalDestination } from './load.ts';
import { rule } from './objects.ts';
import type { BaseChain, Chain, Rule } from './objects.ts';

/**
 * Just before NF_IP_PRI_NAT_DST (-100) and NF_IP_PRI_NAT_SRC (100), where everybody else translates: the first hook that
 * translates a connection wins, so beside another mode's rules ours decide, in whichever order the two were loaded.
 */
const DNAT_PRIORITY = -101;
const MASQUERADE_PRIORITY = 99;
/**
 * NF_IP_PRI_FILTER. Refusing comes after every translation: a packet that another backend has already sent to an endpoint
 * no longer carries the Service's address, so we cannot refuse what it accepts. (Also, reject works in prerouting only
 * since Linux 5.9.)
 */
const FILTER_PRIORITY = 0;

/** After connection tracking (-200) and before any translation, while the packet carries the load balancer's address. */
const SOURCES_PRIORITY = -110;

/** linux/netfilter/nf_conntrack_common.h as nftables sees it: IP_CT_NEW is bit 3. */
const CT_STATE_NEW = 1 << 3;
/** The same header: IPS_DST_NAT, the connection's destination is translated. */
const CT_STATUS_DNAT = 1 << 5;

/** The chains that every table has, whatever the Services are. Their rules depend on the options alone. */
export function staticChains(context: RuleContext): readonly Chain[] {
  return [
    markForMasqueradeChain(context),
    markUnlessFromPodChain(context),
    servicesChain(context),
    rejectChain(context),
    ...refusalChains(context),
    checkSourceChain(context),
    ...baseChains(context),
  ];
}

function baseChains(context: RuleContext): Chain[] {
  const nat = (hook: 'prerouting' | 'output'): BaseChain => ({ type: 'nat', hook, priority: DNAT_PRIORITY });
  const filter = (hook: 'input' | 'forward' | 'output'): BaseChain => ({
    type: 'filter',
    hook,
    priority: FILTER_PRIORITY,
  });
  const sources = (hook: 'prerouting' | 'output'): BaseChain => ({ type: 'filter', hook, priority: SOURCES_PRIORITY });
  const restricted = rule(
    ...matchNew(),
    ...loadFrontend(context.layout, 0),
    { kind: 'lookup', set: 'restricted', from: 0 },
    goTo('goto', 'check-source'),
  );
  const frontends = rule(...matchNew(), goTo('jump', 'refuse'));
  const nodePorts = rule(...matchNew(), ...matchNodePortAddress(context), goTo('jump', 'refuse-node-ports'));
  // What is translated no longer carries a ClusterIP: only ports that no Service has are left.
  const otherPorts = rule(
    ...matchNew(),
    loadAddress(context.layout, 'daddr', 0),
    { kind: 'lookup', set: 'cluster-ips', from: 0 },
    goTo('goto', 'reject'),
  );
  return [
    { name: 'nat-prerouting', base: nat('prerouting'), rules: [rule(goTo('jump', 'services'))] },
    { name: 'nat-output', base: nat('output'), rules: [rule(goTo('jump', 'services'))] },
    {
      name: 'nat-postrouting',
      base: { type: 'nat', hook: 'postrouting', priority: MASQUERADE_PRIORITY },
      rules: masqueradeRules(context),
    },
    { name: 'sources-prerouting', base: sources('prerouting'), rules: [restricted] },
    { name: 'sources-output', base: sources('output'), rules: [restricted] },
    { name: 'filter-input', base: filter('input'), rules: [frontends, nodePorts] },
    { name: 'filter-forward', base: filter('forward'), rules: [frontends, otherPorts, ...unallocated(context)] },
    { name: 'filter-output', base: filter('output'), rules: [frontends, otherPorts, ...unallocated(context)] },
  ];
}

/** ClusterIPs that nobody has: such a packet would leave the node by its default route, and may come back to it. */
function unallocated({ layout, options }: RuleContext): Rule[] {
  return options.serviceCIDRs
    .filter((cidr) => cidr.includes(':') === (layout.family === 'IPv6'))
    .map((cidr) =>
      rule(...matchNew(), ...matchPrefix(loadAddress(layout, 'daddr', 0), cidr, true), {
        kind: 'verdict',
        verdict: { kind: 'drop' },
      }),
    );
}

function goTo(kind: 'jump' | 'goto', chain: string): Expression {
  return { kind: 'verdict', verdict: { kind, chain } };
}

/** The Services' own addresses come first: a NodePort must not answer on one that happens to be local. */
function servicesChain(context: RuleContext): Chain {
  return {
    name: 'services',
    rules: [dispatchRule(context, 'frontends'), dispatchRule(context, 'node-ports', ...matchNodePortAddress(context))],
  };
}

/** Addresses of this node on which NodePorts answer; of the loopback ones, at most those of IPv4. */
function matchNodePortAddress({ layout, options }: RuleContext): Expression[] {
  const { nodePortAddresses, localhostNodePorts } = options;
  const daddr = loadAddress(layout, 'daddr', 0);
  if (nodePortAddresses !== 'all') return [daddr, { kind: 'lookup', set: 'node-port-addresses', from: 0 }];
  if (layout.family === 'IPv6') {
    const notLoopback: Expression = { kind: 'compare', from: 0, isEqual: false, value: join(addressBytes('::1')) };
    return [...matchLocalDestination(), daddr, notLoopback];
  }
  return [...matchLocalDestination(), ...(localhostNodePorts ? [] : matchPrefix(daddr, '127.0.0.0/8', false))];
}

/** Of connections only the first packet: those that are established outlive the loss of all endpoints. */
export function matchNew(): Expression[] {
  return [
    { kind: 'ct', key: 'state', to: 0 },
    { kind: 'bitwise', from: 0, to: 0, mask: join(numberBytes(CT_STATE_NEW)), xor: new Uint8Array(4) },
    { kind: 'compare', from: 0, isEqual: false, value: new Uint8Array(4) },
  ];
}

/**
 * TCP is answered with a reset: a socket that is busy in connect() takes an ICMP error for a hint only and sends its SYN
 * again after a second (tcp_v4_err, tcp_v6_err), and the kernel sends few ICMP errors per second (icmp_ratelimit).
 */
function rejectChain({ layout }: RuleContext): Chain {
  const isTcp: Expression = { kind: 'compare', from: 0, isEqual: true, value: Uint8Array.of(protocolNumber('TCP')) };
  return {
    name: 'reject',
    rules: [
      rule(loadProtocol(0), isTcp, { kind: 'reject', with: 'tcpReset' }),
      rule({ kind: 'reject', with: 'portUnreachable', family: layout.table }),
    ],
  };
}

function refusalChains({ layout }: RuleContext): Chain[] {
  const rules = (load: Expression[], rejected: string, dropped: string): Rule[] => [
    rule(...load, { kind: 'lookup', set: rejected, from: 0 }, goTo('goto', 'reject')),
    rule(...load, { kind: 'lookup', set: dropped, from: 0 }, { kind: 'verdict', verdict: { kind: 'drop' } }),
  ];
  return [
    { name: 'refuse', rules: rules(loadFrontend(layout, 0), 'rejected', 'dropped') },
    { name: 'refuse-node-ports', rules: rules(loadNodePort(0), 'rejected-node-ports', 'dropped-node-ports') },
  ];
}

/** A range of sources is the last part of the key: `daddr . l4proto . dport . saddr`. */
function checkSourceChain({ layout }: RuleContext): Chain {
  const allowed = rule(
    ...loadFrontend(layout, 0),
    loadAddress(layout, 'saddr', layout.addressWords + 2),
    { kind: 'lookup', set: 'allowed-sources', from: 0 },
    { kind: 'verdict', verdict: { kind: 'return' } },
  );
  return { name: 'check-source', rules: [allowed, rule({ kind: 'verdict', verdict: { kind: 'drop' } })] };
}

function markBytes({ options }: RuleContext): { readonly bit: Uint8Array; readonly others: Uint8Array } {
  const bit = (1 << options.masqueradeBit) >>> 0;
  return { bit: join(numberBytes(bit)), others: join(numberBytes(~bit >>> 0)) };
}

function markForMasqueradeChain(context: RuleContext): Chain {
  const { bit, others } = markBytes(context);
  const mark = rule(
    { kind: 'meta', key: 'mark', to: 0 },
    { kind: 'bitwise', from: 0, to: 0, mask: others, xor: bit },
    { kind: 'setMark', from: 0 },
  );
  return { name: 'mark-for-masquerade', rules: [mark] };
}

/** Without it, a node that is an endpoint itself would masquerade all that it sends to itself. */
function matchTranslated(): Expression[] {
  return [
    { kind: 'ct', key: 'status', to: 0 },
    { kind: 'bitwise', from: 0, to: 0, mask: join(numberBytes(CT_STATUS_DNAT)), xor: new Uint8Array(4) },
    { kind: 'compare', from: 0, isEqual: false, value: new Uint8Array(4) },
  ];
}

/** The mark is cleared first, so that an encapsulated packet that passes again is not masqueraded twice. */
function masqueradeRules(context: RuleContext): Rule[] {
  const { layout } = context;
  const { bit, others } = markBytes(context);
  return [
    rule(
      { kind: 'meta', key: 'mark', to: 0 },
      { kind: 'bitwise', from: 0, to: 0, mask: bit, xor: new Uint8Array(4) },
      { kind: 'compare', from: 0, isEqual: true, value: bit },
      { kind: 'meta', key: 'mark', to: 0 },
      { kind: 'bitwise', from: 0, to: 0, mask: others, xor: new Uint8Array(4) },
      { kind: 'setMark', from: 0 },
      { kind: 'masquerade' },
    ),
    rule(
      ...matchTranslated(),
      loadAddress(layout, 'saddr', 0),
      loadAddress(layout, 'daddr', layout.addressWords),
      { kind: 'lookup', set: 'hairpin', from: 0 },
      { kind: 'masquerade' },
    ),
  ];
}

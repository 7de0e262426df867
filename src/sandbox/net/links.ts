import { hostsOf, type Host, type Node, type Topology } from './topology.ts';

/** One `ip -batch` run: in the root namespace when `netns` is absent (then it only makes and enters namespaces). */
export interface Batch {
  readonly netns?: string;
  readonly lines: readonly string[];
}

/** The pods' gateway in IPv6: the same link-local address on every node's end of every pod link. */
const GATEWAY6 = 'fe80::1';

function sysctlLine(host: Host, settings: readonly (readonly [string, string])[]): string {
  const writes = settings.map(([path, value]) => `[ ! -e /proc/sys/${path} ] || echo ${value} > /proc/sys/${path}`);
  return `netns exec ${host.netns} sh -c 'set -e; ${writes.join('; ')}'`;
}

/**
 * Without duplicate address detection an address can be used at once; without router advertisements nothing else
 * appears; without redirects a packet that meets no rules for once does not turn a client's route away from its node for
 * good; without rate limits every refused packet gets its ICMP error, so that refusals can be counted.
 */
const EVERYWHERE: readonly (readonly [string, string])[] = [
  ...['all', 'default'].flatMap((scope) => [
    [`net/ipv6/conf/${scope}/disable_ipv6`, '0'] as const,
    [`net/ipv6/conf/${scope}/accept_dad`, '0'] as const,
    [`net/ipv6/conf/${scope}/accept_ra`, '0'] as const,
    [`net/ipv4/conf/${scope}/rp_filter`, '0'] as const,
    [`net/ipv4/conf/${scope}/accept_redirects`, '0'] as const,
    [`net/ipv6/conf/${scope}/accept_redirects`, '0'] as const,
  ]),
  ['net/ipv4/icmp_ratelimit', '0'],
  ['net/ipv4/icmp_msgs_per_sec', '1000000'],
  ['net/ipv6/icmp/ratelimit', '0'],
];
const ROUTER: readonly (readonly [string, string])[] = [
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv6/conf/all/forwarding', '1'],
];
/** Frames that cross the bridge are the cable between machines: no rules, no conntrack. */
const CABLE: readonly (readonly [string, string])[] = ['iptables', 'ip6tables', 'arptables'].map(
  (tool) => [`net/bridge/bridge-nf-call-${tool}`, '0'] as const,
);

function namespaceBatch(topology: Topology): Batch {
  const nodes = new Set<Host>(topology.nodes);
  const lines = hostsOf(topology).flatMap((host) => {
    const extra = nodes.has(host) ? ROUTER : host === topology.fabric ? CABLE : [];
    return [`netns add ${host.netns}`, sysctlLine(host, [...EVERYWHERE, ...extra])];
  });
  return { lines };
}

function fabricBatch({ fabric, nodes, outside }: Topology): Batch {
  const machines = outside === undefined ? nodes : [...nodes, outside];
  return {
    netns: fabric.netns,
    lines: [
      'link set lo up',
      'link add br0 type bridge forward_delay 0 mcast_snooping 0',
      `addr add ${fabric.address}/24 dev br0`,
      `addr add ${fabric.address6}/64 dev br0 nodad`,
      'link set br0 up',
      ...machines.flatMap((machine, index) => [
        `link add port${index} type veth peer name eth0 netns ${machine.netns}`,
        `link set port${index} master br0 up`,
      ]),
    ],
  };
}

function machineLines(machine: Host, fabric: Host): string[] {
  return [
    'link set lo up',
    'link set eth0 up',
    `addr add ${machine.address}/24 dev eth0`,
    `addr add ${machine.address6}/64 dev eth0 nodad`,
    `route add default via ${fabric.address}`,
    `route add default via ${fabric.address6}`,
  ];
}

function gatewayOf(node: Node): string {
  return node.podCidr.replace(/\.0\/24$/, '.1');
}

function nodeBatch(node: Node, { fabric, nodes }: Topology): Batch {
  const others = nodes.filter((other) => other !== node);
  return {
    netns: node.netns,
    lines: [
      ...machineLines(node, fabric),
      ...others.flatMap((other) => [
        `route add ${other.podCidr} via ${other.address}`,
        `route add ${other.podCidr6} via ${other.address6}`,
      ]),
      ...node.pods.flatMap((pod, index) => [
        `link add pod${index + 1} type veth peer name eth0 netns ${pod.netns}`,
        `link set pod${index + 1} up`,
        `addr add ${gatewayOf(node)}/32 dev pod${index + 1}`,
        `addr add ${GATEWAY6}/64 dev pod${index + 1} nodad`,
        `route add ${pod.address}/32 dev pod${index + 1}`,
        `route add ${pod.address6}/128 dev pod${index + 1}`,
      ]),
    ],
  };
}

function podBatch(pod: Host, node: Node): Batch {
  return {
    netns: pod.netns,
    lines: [
      'link set lo up',
      'link set eth0 up',
      `addr add ${pod.address}/32 dev eth0`,
      `addr add ${pod.address6}/128 dev eth0 nodad`,
      `route add ${gatewayOf(node)} dev eth0 scope link`,
      `route add default via ${gatewayOf(node)} dev eth0`,
      `route add default via ${GATEWAY6} dev eth0`,
    ],
  };
}

/** What builds the topology: the groups in order, the batches of one group in any order or at once. */
export function planLinks(topology: Topology): Batch[][] {
  const { fabric, nodes, outside } = topology;
  return [
    [namespaceBatch(topology)],
    [fabricBatch(topology)],
    [
      ...nodes.map((node) => nodeBatch(node, topology)),
      ...(outside === undefined ? [] : [{ netns: outside.netns, lines: machineLines(outside, fabric) }]),
    ],
    nodes.flatMap((node) => node.pods.map((pod) => podBatch(pod, node))),
  ];
}

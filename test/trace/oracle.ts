import { parseAddress, parsePrefix, prefixContains } from '../../src/core/ip.ts';
import type { Backend, DataplaneOptions, ServicePort, Snapshot } from '../../src/core/service/snapshot.ts';
import { isLocalAddress, type NodeFacts, type Outcome, type Packet } from '../../src/plan/trace/packet.ts';

/**
 * What must become of a packet, from the Services alone: no rule, no chain, no order. `Outcome`s are all that may happen,
 * each with the same chance.
 */
export function expectedOutcomes(
  snapshot: Snapshot,
  facts: NodeFacts,
  packet: Packet,
  quirks: Quirks = {},
): readonly Outcome[] {
  const { options } = snapshot;
  if (!options.families.includes(packet.family)) return [{ kind: 'untouched' }];
  const all = [...snapshot.servicePorts.values()].filter(({ family }) => family === packet.family);
  const situation = { options, facts, packet, quirks };
  const possible = all.filter(({ protocol }) => protocol === packet.protocol);
  // An address with its port says more than a port on any address of the node.
  for (const find of [addressEntrance, nodePortEntrance]) {
    for (const servicePort of possible) {
      const entrance = find(servicePort, situation);
      if (entrance !== undefined) return through(entrance, servicePort, situation);
    }
  }
  return [{ kind: isOfServices(all, situation) ? 'reject' : 'untouched' }];
}

function isOfServices(all: readonly ServicePort[], { facts, packet: { destination }, quirks }: Situation): boolean {
  if (quirks.rejectsOtherPorts === undefined) return false;
  if (quirks.rejectsOtherPorts === 'of ClusterIPs') return all.some(({ clusterIP }) => clusterIP === destination);
  if (isLocalAddress(facts, destination)) return false;
  return all.some(({ clusterIP, externalIPs, loadBalancerVIPs }) =>
    [clusterIP, ...externalIPs, ...loadBalancerVIPs].includes(destination),
  );
}

/** Where modes differ, and are meant to. */
export interface Quirks {
  /**
   * iptables mode looks at source ranges when it translates; where there is nothing to translate to, everybody is told
   * that there are no endpoints. nftables mode looks at them first.
   */
  readonly rejectsBeforeSourceRanges?: boolean;
  /** nftables mode knows ClusterIPs also where the port is no Service's; in IPVS mode every VIP is an address of the node. */
  readonly rejectsOtherPorts?: 'of ClusterIPs' | 'of all VIPs';
  /** IPVS has one list of endpoints for all clients: under policy Local this node's, while there are any. */
  readonly hasOneList?: boolean;
  /** IPVS never sees what stays on the loopback interface. */
  readonly hasNoLocalhost?: boolean;
}

type Entrance = 'cluster IP' | 'external' | 'restricted';

function addressEntrance(
  { clusterIP, port, externalIPs, loadBalancerVIPs, loadBalancerSourceRanges }: ServicePort,
  { packet: { destination, source, port: to } }: Situation,
): Entrance | undefined {
  if (to !== port) return undefined;
  if (destination === clusterIP) return 'cluster IP';
  if (loadBalancerVIPs.includes(destination)) {
    const isAllowed = loadBalancerSourceRanges.length === 0 || isWithin(loadBalancerSourceRanges, source);
    return isAllowed ? 'external' : 'restricted';
  }
  return externalIPs.includes(destination) ? 'external' : undefined;
}

function nodePortEntrance({ nodePort }: ServicePort, situation: Situation): Entrance | undefined {
  const { packet, options, facts, quirks } = situation;
  if (nodePort === 0 || packet.port !== nodePort) return undefined;
  if (quirks.hasNoLocalhost === true && packet.destination.startsWith('127.')) return undefined;
  return acceptsNodePorts(options, facts, packet.destination) ? 'external' : undefined;
}

function isWithin(cidrs: readonly string[], address: string): boolean {
  return cidrs.some((cidr) => prefixContains(parsePrefix(cidr), parseAddress(address)));
}

function acceptsNodePorts(options: DataplaneOptions, facts: NodeFacts, address: string): boolean {
  const { nodePortAddresses, localhostNodePorts } = options;
  if (address === '::1' || (address.startsWith('127.') && !localhostNodePorts)) return false;
  return nodePortAddresses === 'all' ? isLocalAddress(facts, address) : nodePortAddresses.includes(address);
}

interface Situation {
  readonly options: DataplaneOptions;
  readonly facts: NodeFacts;
  readonly packet: Packet;
  readonly quirks: Quirks;
}

function through(entrance: Entrance, servicePort: ServicePort, situation: Situation): readonly Outcome[] {
  const { hasEndpoints } = servicePort;
  const { packet, quirks } = situation;
  if (entrance === 'restricted') {
    return [{ kind: quirks.rejectsBeforeSourceRanges === true && !hasEndpoints ? 'reject' : 'drop' }];
  }
  const { backends, isMasqueraded } = (entrance === 'cluster IP' ? inside : outside)(servicePort, situation);
  if (backends.length === 0) return [{ kind: hasEndpoints ? 'drop' : 'reject' }];
  return backends.map(({ address, port }) => ({
    kind: 'sent',
    address,
    port,
    isMasqueraded: (isMasqueraded || address === packet.source) && leavesByPostrouting(situation, address),
  }));
}

interface Traffic {
  readonly backends: readonly Backend[];
  readonly isMasqueraded: boolean;
}

function inside(servicePort: ServicePort, { options, packet }: Situation): Traffic {
  const isMasqueraded = options.masqueradeAll || (hasDetector(options, packet) && !isFromPod(options, packet));
  return {
    backends: servicePort.internalLocal ? servicePort.localBackends : servicePort.clusterBackends,
    isMasqueraded,
  };
}

function outside(servicePort: ServicePort, { options, facts, packet, quirks }: Situation): Traffic {
  const { clusterBackends, localBackends, externalLocal } = servicePort;
  if (!externalLocal) return { backends: clusterBackends, isMasqueraded: true };
  const isPod = isFromPod(options, packet);
  if (!isPod && !isLocalAddress(facts, packet.source)) return { backends: localBackends, isMasqueraded: false };
  const hasShortCut = quirks.hasOneList !== true || localBackends.length === 0;
  return { backends: hasShortCut ? clusterBackends : localBackends, isMasqueraded: !isPod };
}

/** A pod's or outside's packet for an endpoint that is the node itself (host network) is delivered: nobody masquerades it. */
function leavesByPostrouting({ facts, packet }: Situation, address: string): boolean {
  return packet.interface === undefined || !isLocalAddress(facts, address);
}

function hasDetector({ localDetector }: DataplaneOptions, { family }: Packet): boolean {
  if (localDetector.kind === 'none') return false;
  return localDetector.kind !== 'cidr' || localDetector.cidrs.some((cidr) => parsePrefix(cidr).family === family);
}

function isFromPod({ localDetector }: DataplaneOptions, packet: Packet): boolean {
  switch (localDetector.kind) {
    case 'none':
      return false;
    case 'cidr':
      return isWithin(localDetector.cidrs, packet.source);
    case 'interface':
      return packet.interface === localDetector.name;
    case 'interfacePrefix':
      return packet.interface?.startsWith(localDetector.prefix) === true;
  }
}

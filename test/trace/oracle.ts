import { parseAddress, parsePrefix, prefixContains } from '../../src/core/ip.ts';
import type { Backend, DataplaneOptions, ServicePort, Snapshot } from '../../src/core/snapshot.ts';
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
  for (const servicePort of snapshot.servicePorts.values()) {
    const { family, protocol } = servicePort;
    if (family !== packet.family || protocol !== packet.protocol) continue;
    const entrance = entranceOf(servicePort, options, facts, packet);
    if (entrance !== undefined) return through(entrance, servicePort, { options, facts, packet, quirks });
  }
  const isClusterIP = [...snapshot.servicePorts.values()].some(({ clusterIP }) => clusterIP === packet.destination);
  return [{ kind: isClusterIP && quirks.rejectsOtherPorts === true ? 'reject' : 'untouched' }];
}

/** Where modes differ, and are meant to. */
export interface Quirks {
  /**
   * iptables mode looks at source ranges when it translates; where there is nothing to translate to, everybody is told
   * that there are no endpoints. nftables mode looks at them first.
   */
  readonly rejectsBeforeSourceRanges?: boolean;
  /** nftables mode knows ClusterIPs also where the port is no Service's. */
  readonly rejectsOtherPorts?: boolean;
}

type Entrance = 'cluster IP' | 'external' | 'restricted';

function entranceOf(
  { clusterIP, port, externalIPs, loadBalancerVIPs, loadBalancerSourceRanges, nodePort }: ServicePort,
  options: DataplaneOptions,
  facts: NodeFacts,
  { destination, source, port: to }: Packet,
): Entrance | undefined {
  if (to === port && destination === clusterIP) return 'cluster IP';
  if (to === port && loadBalancerVIPs.includes(destination)) {
    const isAllowed = loadBalancerSourceRanges.length === 0 || isWithin(loadBalancerSourceRanges, source);
    return isAllowed ? 'external' : 'restricted';
  }
  if (to === port && externalIPs.includes(destination)) return 'external';
  return nodePort !== 0 && to === nodePort && acceptsNodePorts(options, facts, destination) ? 'external' : undefined;
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
  const { clusterBackends, localBackends, internalLocal, externalLocal, hasEndpoints } = servicePort;
  const { options, facts, packet, quirks } = situation;
  const isPod = isFromPod(options, packet);
  const send = (backends: readonly Backend[], isMasqueraded: boolean): readonly Outcome[] =>
    backends.length === 0
      ? [{ kind: hasEndpoints ? 'drop' : 'reject' }]
      : backends.map(({ address, port }) => ({
          kind: 'sent',
          address,
          port,
          isMasqueraded: (isMasqueraded || address === packet.source) && leavesByPostrouting(situation, address),
        }));
  if (entrance === 'restricted') {
    return [{ kind: quirks.rejectsBeforeSourceRanges === true && !hasEndpoints ? 'reject' : 'drop' }];
  }
  if (entrance === 'cluster IP') {
    const isMasqueraded = options.masqueradeAll || (hasDetector(options, packet) && !isPod);
    return send(internalLocal ? localBackends : clusterBackends, isMasqueraded);
  }
  if (!externalLocal) return send(clusterBackends, true);
  if (isPod) return send(clusterBackends, false);
  if (isLocalAddress(facts, packet.source)) return send(clusterBackends, true);
  return send(localBackends, false);
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

import { FAMILIES, familyOfText, parseAddress, parsePrefix, prefixContains, type Family } from '../../core/ip.ts';
import { DEFAULT_IPVS_OPTIONS } from '../../core/service/ipvs-options.ts';
import type { Snapshot } from '../../core/service/snapshot.ts';
import { frontendKey, memberKey, type RealServer, type SetMember, type VirtualServer } from '../ipvs/objects.ts';
import { planServicePort } from '../ipvs/service-port.ts';
import { setDefinition } from '../ipvs/sets.ts';
import type { Match } from './iptables-rule.ts';
import { fail } from './insist.ts';
import type { NodeFacts } from './packet.ts';

export interface PlannedServer {
  readonly server: VirtualServer;
  readonly realServers: readonly RealServer[];
}

/** Everything around the chains that IPVS mode plans: what one kernel would hold. */
export interface IpvsObjects {
  /** By `frontendKey`. */
  readonly servers: ReadonlyMap<string, PlannedServer>;
  /** Addresses that are the node's own because of Services. */
  readonly addresses: ReadonlySet<string>;
  /** Set -> members by `memberKey`. */
  readonly sets: ReadonlyMap<string, ReadonlyMap<string, SetMember>>;
}

function contextOf({ options }: Snapshot, family: Family, { localAddresses }: NodeFacts) {
  const candidates = options.nodePortAddresses === 'all' ? [...localAddresses] : options.nodePortAddresses;
  const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';
  return {
    family,
    options: options.ipvs ?? DEFAULT_IPVS_OPTIONS,
    nodePortAddresses: candidates.filter((address) => familyOfText(address) === family && !isLoopback(address)),
    localAddresses,
  };
}

export function planIpvsObjects(snapshot: Snapshot, facts: NodeFacts): IpvsObjects {
  const servers = new Map<string, PlannedServer>();
  const addresses = new Set<string>();
  const sets = new Map<string, Map<string, SetMember>>();
  const contexts = new Map(FAMILIES.map((family) => [family, contextOf(snapshot, family, facts)]));
  for (const port of snapshot.servicePorts.values()) {
    const context = contexts.get(port.family);
    if (context === undefined || !snapshot.options.families.includes(port.family)) continue;
    for (const object of planServicePort(port, context)) {
      if (object.kind === 'server') servers.set(frontendKey(object.server), object);
      else if (object.kind === 'address') addresses.add(object.address);
      else {
        const members = sets.get(object.set) ?? new Map<string, SetMember>();
        sets.set(object.set, members.set(memberKey(object.member), object.member));
      }
    }
  }
  return { servers, addresses, sets };
}

/** Whether a set has a packet, as `-m set --match-set` asks. Throws on a set or flags that are not ours. */
export function isInSet({ sets }: IpvsObjects, packet: Match, set: string, flags: string): boolean {
  const { type } = setDefinition(set) ?? fail(`no set ${set}`);
  const members = sets.get(set);
  if (members === undefined) return false;
  const { destination: address, port, source } = packet;
  const protocol = packet.protocol.toUpperCase() as NonNullable<SetMember['protocol']>;
  switch (`${type} ${flags}`) {
    case 'hash:ip dst':
      return members.has(memberKey({ address }));
    case 'hash:ip src':
      return members.has(memberKey({ address: source }));
    case 'hash:ip,port dst,dst':
      return members.has(memberKey({ address, protocol, port }));
    case 'hash:ip,port,ip dst,dst,src':
      return members.has(memberKey({ address, protocol, port, source }));
    case 'hash:ip,port,net dst,dst,src':
      return [...members.values()].some(
        (member) =>
          memberKey({ ...member, source: '' }) === memberKey({ address, protocol, port, source: '' }) &&
          prefixContains(parsePrefix(member.source ?? ''), parseAddress(source)),
      );
    case 'bitmap:port dst':
      return members.has(memberKey({ port }));
    default:
      return fail(`${set} is a ${type}, and was asked for ${flags}`);
  }
}

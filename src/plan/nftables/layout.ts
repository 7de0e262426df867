import type { SetName } from './set-name.ts';
import type { Family } from '../../core/ip.ts';
import type { AddressFamily } from './expression.ts';
import type { Part, SetDefinition } from './objects.ts';

/** Keys of the endpoints under policy Local start here, beside those under policy Cluster. */
export const LOCAL_INDEX = 0x10000;
/** So many endpoints of a Service are used; the count of a policy has two bytes. */
export const MAX_ENDPOINTS = LOCAL_INDEX - 1;

/** The name of our table in each family. Everything in it is ours; nothing outside of it is. */
export const TABLE_NAME = 'switchyard';

/** What differs between the table for IPv4 and the one for IPv6. */
export interface FamilyLayout {
  readonly family: Family;
  readonly table: AddressFamily;
  readonly addressPart: Part;
  /** Words (of four bytes) that an address takes in a key. */
  readonly addressWords: number;
  readonly addressBytes: number;
  /** Offsets in the IP header. */
  readonly saddrOffset: number;
  readonly daddrOffset: number;
  readonly sets: Readonly<Record<SetName, SetDefinition>>;
}

/** The key of the verdict maps and the data that leads there: see policy.ts. */
const POLICY: readonly Part[] = ['mark', 'mark'];
const POLICY_DATA: readonly Part[] = ['mark', ...POLICY];

function setsFor(address: Part): Readonly<Record<SetName, SetDefinition>> {
  const frontend: readonly Part[] = [address, 'inet_proto', 'inet_service'];
  const nodePort: readonly Part[] = ['inet_proto', 'inet_service'];
  const endpoint: readonly Part[] = [address, 'inet_service'];
  // The order of these differs from a frontend's for a reason: see affinity.ts.
  const identity: readonly Part[] = [address, 'inet_service', 'inet_proto'];
  const remembered: readonly Part[] = ['inet_proto', ...endpoint];
  return {
    frontends: { name: 'frontends', key: frontend, data: POLICY_DATA },
    'local-frontends': { name: 'local-frontends', key: frontend, data: POLICY_DATA },
    'node-ports': { name: 'node-ports', key: nodePort, data: POLICY_DATA },
    'local-node-ports': { name: 'local-node-ports', key: nodePort, data: POLICY_DATA },
    endpoints: { name: 'endpoints', key: [...frontend, 'mark'], data: endpoint },
    'node-port-endpoints': { name: 'node-port-endpoints', key: [...nodePort, 'mark'], data: endpoint },
    policies: { name: 'policies', key: POLICY, data: 'verdict' },
    'local-policies': { name: 'local-policies', key: POLICY, data: 'verdict' },
    rejected: { name: 'rejected', key: frontend },
    dropped: { name: 'dropped', key: frontend },
    'rejected-node-ports': { name: 'rejected-node-ports', key: nodePort },
    'dropped-node-ports': { name: 'dropped-node-ports', key: nodePort },
    'cluster-ips': { name: 'cluster-ips', key: [address] },
    hairpin: { name: 'hairpin', key: [address, address] },
    'node-port-addresses': { name: 'node-port-addresses', key: [address] },
    restricted: { name: 'restricted', key: frontend },
    'allowed-sources': { name: 'allowed-sources', key: [...frontend, address], hasRanges: true },
    affinity: { name: 'affinity', key: [address, ...identity], data: remembered, isDynamic: true },
    'affinity-endpoints': { name: 'affinity-endpoints', key: ['mark', ...identity], data: remembered },
    'affinity-backends': { name: 'affinity-backends', key: [...identity, ...endpoint] },
    'affinity-local-backends': { name: 'affinity-local-backends', key: [...identity, ...endpoint] },
    'affinity-frontends': { name: 'affinity-frontends', key: identity, data: ['mark', ...endpoint] },
    'affinity-node-ports': {
      name: 'affinity-node-ports',
      key: ['inet_service', 'inet_proto'],
      data: ['mark', ...endpoint],
    },
  };
}

export const LAYOUTS: Readonly<Record<Family, FamilyLayout>> = {
  IPv4: {
    family: 'IPv4',
    table: 'ip',
    addressPart: 'ipv4_addr',
    addressWords: 1,
    addressBytes: 4,
    saddrOffset: 12,
    daddrOffset: 16,
    sets: setsFor('ipv4_addr'),
  },
  IPv6: {
    family: 'IPv6',
    table: 'ip6',
    addressPart: 'ipv6_addr',
    addressWords: 4,
    addressBytes: 16,
    saddrOffset: 8,
    daddrOffset: 24,
    sets: setsFor('ipv6_addr'),
  },
};

import { FAMILIES, type Family } from '../../core/ip.ts';

export const SET_TYPES = ['hash:ip', 'hash:ip,port', 'hash:ip,port,ip', 'hash:ip,port,net', 'bitmap:port'] as const;
export type SetType = (typeof SET_TYPES)[number];

export interface SetDefinition {
  /** At most 31 characters (IPSET_MAXNAMELEN less the final zero). */
  readonly name: string;
  readonly type: SetType;
  readonly family: Family;
}

/** Every ipset of ours starts with it, and nothing else may: it is the mark of ownership. */
export const SET_PREFIX = 'SWITCHYARD-';

/**
 * - `frontends`: every virtual server of ours. What is in here is ours, also after a restart.
 * - `vips`: addresses that are this node's own only because of us.
 * - `cluster-ips`, `external`: frontends whose packets may have to be masqueraded, by the rules for ClusterIPs or always.
 * - `rejected`: frontends of Services without endpoints. IPVS would refuse too, but by ICMP alone, which a TCP socket that is
 *   busy in connect() takes for a hint.
 * - `dropped`: frontends that nobody may reach: internal policy Local, and all endpoints are elsewhere.
 * - `inside`: frontends that only pods and this node may reach: external policy Local, and all endpoints are elsewhere.
 * - `restricted`: frontends with source ranges; `ranges`: who may reach them nevertheless.
 * - `hairpin`: endpoints, with themselves as source.
 * - `health`: health check ports.
 */
const TYPES = {
  frontends: 'hash:ip,port',
  vips: 'hash:ip',
  'cluster-ips': 'hash:ip,port',
  external: 'hash:ip,port',
  rejected: 'hash:ip,port',
  dropped: 'hash:ip,port',
  inside: 'hash:ip,port',
  ranges: 'hash:ip,port,net',
  restricted: 'hash:ip,port',
  hairpin: 'hash:ip,port,ip',
  health: 'bitmap:port',
} as const satisfies Record<string, SetType>;
export type SetRole = keyof typeof TYPES;

/** `SWITCHYARD-4-FRONTENDS` for the frontends of IPv4. */
export function setName(role: SetRole, family: Family): string {
  return `${SET_PREFIX}${family === 'IPv4' ? '4' : '6'}-${role.toUpperCase()}`;
}

/**
 * In the order in which members are to be added: who may pass before who may not pass without. Removal is the other way
 * round.
 */
export function setsOf(family: Family): readonly SetDefinition[] {
  return (Object.keys(TYPES) as SetRole[]).map((role) => ({ name: setName(role, family), type: TYPES[role], family }));
}

const ALL_SETS: ReadonlyMap<string, SetDefinition> = new Map(
  FAMILIES.flatMap(setsOf).map((definition) => [definition.name, definition]),
);

/** Undefined for a set that is not one of ours. */
export function setDefinition(name: string): SetDefinition | undefined {
  return ALL_SETS.get(name);
}

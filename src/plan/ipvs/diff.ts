import {
  frontendKey,
  memberKey,
  realServerKey,
  type Frontend,
  type IpvsObject,
  type RealServer,
  type SetMember,
  type VirtualServer,
} from './objects.ts';
import type { Operation } from './operation.ts';
import { setName, setsOf, type SetDefinition } from './sets.ts';
import { equalServers, takeOutOfUse, type SourceFor } from './transition.ts';
import { FAMILIES, type Family } from '../../core/ip.ts';

/** A real server as the kernel has it. */
export interface ObservedRealServer extends RealServer {
  readonly weight: number;
  /** Has connections, which would stop if it were deleted. */
  readonly isBusy: boolean;
}

/** What the kernel holds. */
export interface Observed {
  /** Sets of ours with their members, by name. */
  readonly sets: ReadonlyMap<string, { readonly definition: SetDefinition; readonly members: readonly SetMember[] }>;
  /** Virtual servers of anybody, by `frontendKey`. */
  readonly servers: ReadonlyMap<string, VirtualServer>;
  /** Real servers of virtual servers that are ours or are wanted, by `frontendKey`. */
  readonly realServers: ReadonlyMap<string, readonly ObservedRealServer[]>;
  /** Addresses that are bound by us, with the source for them, and whether they are on the device. */
  readonly bound: ReadonlyMap<string, { readonly source: string | undefined; readonly isShown: boolean }>;
}

export interface Wanted {
  readonly families: readonly Family[];
  readonly objects: Iterable<IpvsObject>;
  readonly sourceFor: SourceFor;
}

/**
 * The frontends that we made virtual servers for, as the kernel's sets tell: an entry is made before its virtual server
 * and goes after it, so after a crash there is at most an entry without one.
 */
export function ownFrontends(sets: Observed['sets']): ReadonlySet<string> {
  const members = FAMILIES.flatMap((family) => sets.get(setName('frontends', family))?.members ?? []);
  return new Set(members.map((member) => frontendKey(asFrontend(member))));
}

function asFrontend({ address = '', protocol = 'TCP', port = 0 }: SetMember): Frontend {
  return { address, protocol, port };
}

/** What makes the kernel hold exactly what is wanted; nothing that is not ours is touched. */
export function diffIpvs(observed: Observed, wanted: Wanted): readonly Operation[] {
  const byId = new Map([...wanted.objects].map((object) => [object.id, object]));
  return [
    ...diffSets(observed, wanted.families, byId),
    ...diffServers(observed, byId),
    ...diffAddresses(observed, wanted, byId),
  ];
}

type Objects = ReadonlyMap<string, IpvsObject>;

function diffSets(observed: Observed, families: readonly Family[], byId: Objects): readonly Operation[] {
  const definitions = families.flatMap(setsOf);
  const wantedNames = new Set(definitions.map(({ name }) => name));
  const operations: Operation[] = [];
  for (const set of definitions) {
    if (!observed.sets.has(set.name)) operations.push({ kind: 'createSet', set });
  }
  const held = new Set<string>();
  for (const [set, { members }] of observed.sets) {
    if (!wantedNames.has(set)) operations.push({ kind: 'destroySet', set });
    else {
      for (const member of members) {
        const id = `${set} ${memberKey(member)}`;
        if (byId.has(id)) held.add(id);
        else operations.push({ kind: 'deleteMember', set, member });
      }
    }
  }
  for (const object of byId.values()) {
    if (object.kind !== 'member' || held.has(object.id)) continue;
    operations.push({ kind: 'addMember', set: object.set, member: object.member });
  }
  return operations;
}

function diffServers(observed: Observed, byId: Objects): readonly Operation[] {
  const own = ownFrontends(observed.sets);
  const operations: Operation[] = [];
  for (const object of byId.values()) {
    if (object.kind !== 'server') continue;
    const key = frontendKey(object.server);
    operations.push(...diffServer(object, observed.servers.get(key), observed.realServers.get(key) ?? []));
  }
  for (const [key, server] of observed.servers) {
    if (own.has(key) && !byId.has(`server ${key}`)) operations.push({ kind: 'deleteServer', server });
  }
  return operations;
}

function diffServer(
  { server, realServers }: Extract<IpvsObject, { kind: 'server' }>,
  found: VirtualServer | undefined,
  foundRealServers: readonly ObservedRealServer[],
): readonly Operation[] {
  const held = new Map(foundRealServers.map((realServer) => [realServerKey(realServer), realServer]));
  const wantedKeys = new Set(realServers.map(realServerKey));
  return [
    ...(found !== undefined && equalServers(found, server)
      ? []
      : [{ kind: 'putServer', server, isNew: found === undefined } as const]),
    ...realServers
      .filter((realServer) => held.get(realServerKey(realServer))?.weight !== 1)
      .map((realServer): Operation => ({ kind: 'putRealServer', server, realServer })),
    ...foundRealServers
      .filter((realServer) => !wantedKeys.has(realServerKey(realServer)))
      .flatMap(({ address, port, weight, isBusy }): readonly Operation[] => {
        const realServer = { address, port };
        if (!isBusy) return [{ kind: 'deleteRealServer', server, realServer, isRetired: weight === 0 }];
        return weight === 0 ? [] : [takeOutOfUse(server, realServer)];
      }),
  ];
}

function diffAddresses(observed: Observed, { sourceFor }: Wanted, byId: Objects): readonly Operation[] {
  const operations: Operation[] = [];
  for (const object of byId.values()) {
    if (object.kind !== 'address') continue;
    const { address } = object;
    const source = sourceFor(address);
    const found = observed.bound.get(address);
    const isRight = found?.isShown === true && found.source === source;
    if (!isRight) operations.push({ kind: 'bindAddress', address, source });
  }
  for (const address of observed.bound.keys()) {
    if (!byId.has(`address ${address}`)) operations.push({ kind: 'unbindAddress', address });
  }
  return operations;
}

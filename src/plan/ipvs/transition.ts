import type { Transition } from './ledger.ts';
import { realServerKey, type IpvsObject, type RealServer, type VirtualServer } from './objects.ts';
import type { Operation } from './operation.ts';

/** What this node's own processes shall use as source towards an address that is bound for them. */
export type SourceFor = (address: string) => string | undefined;

/** What makes the kernel follow, given that it holds all the `before`s. */
export function operationsFor({ before, after }: Transition, sourceFor: SourceFor): readonly Operation[] {
  const object = after ?? before;
  if (object === undefined) return [];
  switch (object.kind) {
    case 'server':
      return serverOperations(before, after);
    case 'member':
      if ((before === undefined) === (after === undefined)) return [];
      return [{ kind: after === undefined ? 'deleteMember' : 'addMember', set: object.set, member: object.member }];
    case 'address':
      if ((before === undefined) === (after === undefined)) return [];
      return after === undefined
        ? [{ kind: 'unbindAddress', address: object.address }]
        : [{ kind: 'bindAddress', address: object.address, source: sourceFor(object.address) }];
  }
}

function serverOperations(before: IpvsObject | undefined, after: IpvsObject | undefined): readonly Operation[] {
  const had = before?.kind === 'server' ? before : undefined;
  const wants = after?.kind === 'server' ? after : undefined;
  if (wants === undefined) return had === undefined ? [] : [{ kind: 'deleteServer', server: had.server }];
  const { server } = wants;
  const hadKeys = new Set(had?.realServers.map(realServerKey));
  const wantedKeys = new Set(wants.realServers.map(realServerKey));
  const isUnchanged = had !== undefined && equalServers(had.server, server);
  const added = wants.realServers.filter((realServer) => !hadKeys.has(realServerKey(realServer)));
  const removed = (had?.realServers ?? []).filter((realServer) => !wantedKeys.has(realServerKey(realServer)));
  return [
    ...(isUnchanged ? [] : [{ kind: 'putServer', server } as const]),
    ...added.map((realServer): Operation => ({ kind: 'putRealServer', server, realServer })),
    ...removed.map((realServer) => takeOutOfUse(server, realServer)),
  ];
}

/**
 * Only TCP has connections that end by themselves: a real server of TCP keeps those that it has. Datagrams are sent to
 * another one at once, as kube-proxy does for UDP and SCTP. The scheduler `dh` goes on choosing one that has retired, and
 * then refuses.
 */
export function takeOutOfUse(server: VirtualServer, realServer: RealServer): Operation {
  const mayRetire = server.protocol === 'TCP' && server.scheduler !== 'dh';
  return { kind: mayRetire ? 'retireRealServer' : 'deleteRealServer', server, realServer };
}

export function equalServers(a: VirtualServer, b: VirtualServer): boolean {
  return (
    a.scheduler === b.scheduler &&
    a.schedulerFlags === b.schedulerFlags &&
    a.persistenceSeconds === b.persistenceSeconds
  );
}

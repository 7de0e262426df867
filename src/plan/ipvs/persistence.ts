import { affinityPorts, backendsOf, backendText, latestAffinity, limitAffinity } from '../../core/service/affinity.ts';
import type { AffinityEntry, AffinityMemory } from '../../core/service/affinity.ts';
import type { ServicePortKey, Snapshot } from '../../core/service/snapshot.ts';
import type { Ledger } from './ledger.ts';
import type { Connection } from './connections.ts';
import { frontendKey, realServerKey } from './objects.ts';

/** What IPVS remembers of a client of a persistent virtual server: a connection from port 0 that carries nothing. */
export type Template = Pick<Connection, 'frontend' | 'client' | 'realServer' | 'remainingSeconds'>;

/** Of a client that is listed twice, what is first: the kernel goes by the one that it finds first. */
export function templatesOf(connections: readonly Connection[]): readonly Template[] {
  return firstOfEach(connections.filter(({ clientPort }) => clientPort === 0));
}

/** One of each client of a virtual server, as of the first list that has it. */
export function firstOfEach(...lists: readonly (readonly Template[])[]): readonly Template[] {
  const found = new Map<string, Template>();
  for (const template of lists.flat()) {
    const id = templateId(template);
    if (!found.has(id)) found.set(id, template);
  }
  return [...found.values()];
}

/** The client and the virtual server that remembers it. */
export function templateId({ client, frontend }: Template): string {
  return `${client} ${frontendKey(frontend)}`;
}

/** Of a client that is known at several addresses of a Service, the one that it used last. */
export function readTemplates(
  templates: readonly Template[],
  snapshot: Snapshot,
  ledgers: Iterable<Ledger>,
): AffinityMemory {
  const owners = new Map<string, ServicePortKey>();
  for (const { owner, server } of serversOf(ledgers)) owners.set(frontendKey(server), owner);
  const backends = new Map(
    affinityPorts(snapshot).map((port) => [port.key, new Set(backendsOf(port).map(backendText))] as const),
  );
  const entries = templates.flatMap(({ frontend, client, realServer, remainingSeconds }): AffinityEntry[] => {
    const key = owners.get(frontendKey(frontend)) ?? '';
    if (backends.get(key)?.has(backendText(realServer)) !== true) return [];
    return [{ key, client, backend: realServer, remainingSeconds }];
  });
  return limitAffinity(latestAffinity(entries));
}

/**
 * What IPVS has to remember for `entries`: a template for each address of the Service that the client may come back to.
 * They last as long as the Service's timeout, since IPVS would renew a shorter one with its own length.
 */
export function templatesFor(entries: readonly AffinityEntry[], ledgers: Iterable<Ledger>): readonly Template[] {
  const byOwner = Map.groupBy(serversOf(ledgers), ({ owner }) => owner);
  return entries.flatMap(({ key, client, backend }) => {
    const servers = byOwner.get(key) ?? [];
    return servers.flatMap(({ server, realServers }): Template[] => {
      const isThere = realServers.some((realServer) => realServerKey(realServer) === realServerKey(backend));
      if (server.persistenceSeconds === 0 || !isThere) return [];
      const { address, protocol, port, persistenceSeconds: remainingSeconds } = server;
      return [{ frontend: { address, protocol, port }, client, realServer: backend, remainingSeconds }];
    });
  });
}

function* serversOf(ledgers: Iterable<Ledger>) {
  for (const ledger of ledgers) {
    for (const { owner, object } of ledger.claims()) {
      if (object.kind === 'server') yield { owner, server: object.server, realServers: object.realServers };
    }
  }
}

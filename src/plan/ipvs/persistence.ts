import { affinityPorts, backendsOf, backendText, limitAffinity } from '../../core/affinity.ts';
import type { AffinityEntry, AffinityMemory } from '../../core/affinity.ts';
import { parseAddress } from '../../core/ip.ts';
import { PROTOCOLS, type ServicePortKey, type Snapshot } from '../../core/snapshot.ts';
import type { Ledger } from './ledger.ts';
import { frontendKey, realServerKey, type Frontend, type RealServer } from './objects.ts';

/** What IPVS remembers of a client of a persistent virtual server: a connection from port 0 that carries nothing. */
export interface Template {
  readonly frontend: Frontend;
  /** Canonical text. */
  readonly client: string;
  readonly realServer: RealServer;
  readonly remainingSeconds: number;
}

/** `TCP 0A000001 0000 0A60000C 0050 0AF40102 1F90 NONE        10793`; addresses of IPv6 have colons. */
const TEMPLATE =
  /^(TCP|UDP|SCTP) +([0-9A-Fa-f:]+) 0000 ([0-9A-Fa-f:]+) ([0-9A-F]{4}) ([0-9A-Fa-f:]+) ([0-9A-F]{4}) +\S+ +(\d+)/;

/** Reads /proc/net/ip_vs_conn: the templates in it. */
export function parseTemplates(text: string): readonly Template[] {
  return text.split('\n').flatMap((line): Template[] => {
    const [, word, client, address, port, backend, backendPort, expires] = TEMPLATE.exec(line) ?? [];
    const protocol = PROTOCOLS.find((one) => one === word);
    if (protocol === undefined) return [];
    return [
      {
        frontend: { address: canonical(address), protocol, port: Number.parseInt(port ?? '', 16) },
        client: canonical(client),
        realServer: { address: canonical(backend), port: Number.parseInt(backendPort ?? '', 16) },
        remainingSeconds: Number(expires),
      },
    ];
  });
}

function canonical(text = ''): string {
  return parseAddress(text.includes(':') ? text : [...Buffer.from(text, 'hex')].join('.')).text;
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
  const found = new Map<string, AffinityEntry>();
  for (const { frontend, client, realServer: backend, remainingSeconds } of templates) {
    const key = owners.get(frontendKey(frontend)) ?? '';
    if (backends.get(key)?.has(backendText(backend)) !== true) continue;
    const id = `${client} ${key}`;
    if ((found.get(id)?.remainingSeconds ?? 0) < remainingSeconds) {
      found.set(id, { key, client, backend, remainingSeconds });
    }
  }
  return limitAffinity([...found.values()]);
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

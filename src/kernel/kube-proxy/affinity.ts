import { createHash } from 'node:crypto';
import {
  affinityPorts,
  backendText,
  latestAffinity,
  limitAffinity,
  type AffinityEntry,
  type AffinityMemory,
} from '../../core/service/affinity.ts';
import type { ServicePort, Snapshot } from '../../core/service/snapshot.ts';
import { endpointChain, endpointIdentity, parseAffinitySet } from '../../plan/kube-proxy/affinity.ts';
import { NFT_TABLE } from '../../plan/kube-proxy/names.ts';
import { readTemplates, templatesFor } from '../../plan/ipvs/persistence.ts';
import { addressBytes } from '../../plan/nftables/bytes.ts';
import { LAYOUTS } from '../../plan/nftables/layout.ts';
import type { TableName } from '../../plan/nftables/objects.ts';
import type { AffinityImport } from '../dataplane.ts';
import { exportAffinity, importAffinity, type ListNames } from '../iptables/affinity-transfer.ts';
import { RecentLists } from '../iptables/recent-lists.ts';
import { IpvsKernel } from '../ipvs/kernel-state.ts';
import { planLedgers } from '../ipvs/node-plan.ts';
import { addTemplates, listTemplates } from '../ipvs/templates.ts';
import { addressFromBytes } from '../netlink/address-bytes.ts';
import { NftablesClient } from '../nftables/client.ts';

/**
 * The clients with session affinity that kube-proxy remembers, in each of its modes, of Services and backends that are in
 * `snapshot`. Changes nothing. Throws KernelError.
 */
export async function exportKubeProxyAffinity(snapshot: Snapshot, hasNftables: boolean): Promise<AffinityMemory> {
  if (affinityPorts(snapshot).length === 0) return { entries: [], leftOut: 0 };
  const listed = await exportAffinity(new RecentLists(undefined), snapshot, listOf);
  const held = hasNftables ? await heldByNftables(snapshot) : [];
  const templates = await withVirtualServers((kernel) => heldByIpvs(kernel, snapshot));
  // What it left of another mode may still be there.
  const latest = latestAffinity([...listed.entries, ...held, ...(templates?.entries ?? [])]);
  const { entries, leftOut } = limitAffinity(latest);
  return { entries, leftOut: leftOut + listed.leftOut + (templates?.leftOut ?? 0) };
}

/**
 * Makes kube-proxy's rules, in whichever mode they are, remember these clients. Its rules stay as they are: what changes is
 * what packets change in them, too. Throws KernelError.
 */
export async function importKubeProxyAffinity(
  snapshot: Snapshot,
  entries: readonly AffinityEntry[],
  hasNftables: boolean,
): Promise<AffinityImport> {
  if (entries.length === 0) return { taken: 0, leftOut: 0 };
  const listed = await importAffinity(new RecentLists(undefined), snapshot, entries, listOf);
  const held = hasNftables ? await rememberInNftables(snapshot, entries) : 0;
  const told = await withVirtualServers(async (kernel) => {
    const ledgers = planLedgers(snapshot, await kernel.nodeAddresses());
    const templates = templatesFor(entries, ledgers.values());
    const known = await addTemplates(kernel.servers, templates, undefined);
    return Math.max(0, entries.length - (templates.length - known));
  });
  const taken = Math.min(entries.length, listed.taken + held + (told ?? 0));
  return { taken, leftOut: entries.length - taken };
}

const listOf: ListNames = (port, backend) =>
  endpointChain(createHash('sha256').update(endpointIdentity(port, backend)).digest());

/** Undefined where kube-proxy has no link of virtual addresses. */
async function withVirtualServers<T>(work: (kernel: IpvsKernel) => Promise<T>): Promise<T | undefined> {
  const kernel = new IpvsKernel(undefined);
  try {
    return (await kernel.routes.device.isForeign()) ? await work(kernel) : undefined;
  } finally {
    kernel.close();
  }
}

async function heldByIpvs(kernel: IpvsKernel, snapshot: Snapshot): Promise<AffinityMemory> {
  const ledgers = planLedgers(snapshot, await kernel.nodeAddresses());
  return readTemplates(listTemplates(undefined), snapshot, ledgers.values());
}

/** A set of kube-proxy's nftables mode and the ServicePort whose clients it remembers, with one backend. */
interface ClientSet {
  readonly table: TableName;
  readonly name: string;
  readonly port: ServicePort;
  readonly backend: AffinityEntry['backend'];
}

async function heldByNftables(snapshot: Snapshot): Promise<AffinityEntry[]> {
  const client = new NftablesClient();
  const entries: AffinityEntry[] = [];
  try {
    for (const { table, name, port, backend } of await listClientSets(client, snapshot)) {
      for (const { key, remainingMs = 0 } of await client.listElements(table, name)) {
        if (remainingMs <= 0) continue;
        entries.push({ key: port.key, client: addressFromBytes(key), backend, remainingSeconds: remainingMs / 1000 });
      }
    }
    return entries;
  } finally {
    client.close();
  }
}

/** Returns how many of them it knows afterwards. */
async function rememberInNftables(snapshot: Snapshot, entries: readonly AffinityEntry[]): Promise<number> {
  const client = new NftablesClient();
  const byBackend = Map.groupBy(entries, ({ key, backend }) => `${key} ${backendText(backend)}`);
  let taken = 0;
  try {
    for (const { table, name, port, backend } of await listClientSets(client, snapshot)) {
      const wanted = byBackend.get(`${port.key} ${backendText(backend)}`) ?? [];
      if (wanted.length === 0) continue;
      const known = new Set((await client.listElements(table, name)).map(({ key }) => addressFromBytes(key)));
      const timeoutMs = port.affinitySeconds * 1000;
      const elements = wanted
        .filter((entry) => !known.has(entry.client))
        .map((entry) => {
          const remainingMs = Math.min(timeoutMs, Math.ceil(entry.remainingSeconds * 1000));
          return { key: Uint8Array.from(addressBytes(entry.client)), lifetime: { timeoutMs, remainingMs } };
        });
      const set = { name, key: [LAYOUTS[port.family].addressPart], isDynamic: true };
      if (elements.length > 0) await client.apply([{ kind: 'addElements', table, set, elements }]);
      taken += wanted.length;
    }
    return taken;
  } finally {
    client.close();
  }
}

async function listClientSets(client: NftablesClient, snapshot: Snapshot): Promise<readonly ClientSet[]> {
  const ports = new Map(affinityPorts(snapshot).map((port) => [keyOf(port), port]));
  const found: ClientSet[] = [];
  for (const table of (await client.listTables()).filter(({ name }) => name === NFT_TABLE)) {
    const family = table.family === 'ip' ? 'IPv4' : 'IPv6';
    for (const { name = '' } of await client.listSets(table)) {
      const set = parseAffinitySet(name, family === 'IPv6');
      const port = set === undefined ? undefined : ports.get(keyOf({ ...set, family }));
      if (set !== undefined && port !== undefined) found.push({ table, name, port, backend: set.backend });
    }
  }
  return found;
}

type Named = Pick<ServicePort, 'namespace' | 'name' | 'protocol' | 'portName' | 'family'>;

function keyOf({ namespace, name, protocol, portName, family }: Named): string {
  return `${namespace}/${name}/${protocol}/${portName}/${family}`;
}

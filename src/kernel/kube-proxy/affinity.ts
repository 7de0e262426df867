import { createHash } from 'node:crypto';
import { affinityPorts, limitAffinity, type AffinityEntry, type AffinityMemory } from '../../core/affinity.ts';
import type { ServicePort, Snapshot } from '../../core/snapshot.ts';
import { endpointChain, endpointIdentity, parseAffinitySet } from '../../plan/kube-proxy/affinity.ts';
import { NFT_TABLE } from '../../plan/kube-proxy/names.ts';
import { exportAffinity } from '../iptables/affinity-transfer.ts';
import { RecentLists } from '../iptables/recent-lists.ts';
import { addressFromBytes } from '../netlink/address-bytes.ts';
import { NftablesClient } from '../nftables/client.ts';

/**
 * The clients with session affinity that kube-proxy remembers in iptables and nftables mode, of Services and backends that
 * are in `snapshot`. Changes nothing. Throws KernelError.
 */
export async function exportKubeProxyAffinity(snapshot: Snapshot, hasNftables: boolean): Promise<AffinityMemory> {
  if (affinityPorts(snapshot).length === 0) return { entries: [], leftOut: 0 };
  const listed = await exportAffinity(new RecentLists(undefined), snapshot, (port, backend) =>
    endpointChain(createHash('sha256').update(endpointIdentity(port, backend)).digest()),
  );
  const held = hasNftables ? await heldByNftables(snapshot) : [];
  const { entries, leftOut } = limitAffinity([...listed.entries, ...held]);
  return { entries, leftOut: leftOut + listed.leftOut };
}

async function heldByNftables(snapshot: Snapshot): Promise<AffinityEntry[]> {
  const ports = new Map(affinityPorts(snapshot).map((port) => [keyOf(port), port]));
  const client = new NftablesClient();
  const entries: AffinityEntry[] = [];
  try {
    for (const table of (await client.listTables()).filter(({ name }) => name === NFT_TABLE)) {
      for (const { name = '' } of await client.listSets(table)) {
        const set = parseAffinitySet(name, table.family === 'ip6');
        const family = table.family === 'ip' ? 'IPv4' : 'IPv6';
        const port = set === undefined ? undefined : ports.get(keyOf({ ...set, family }));
        if (set === undefined || port === undefined) continue;
        for (const { key, remainingMs = 0 } of await client.listElements(table, name)) {
          const remainingSeconds = remainingMs / 1000;
          if (remainingSeconds <= 0) continue;
          entries.push({ key: port.key, client: addressFromBytes(key), backend: set.backend, remainingSeconds });
        }
      }
    }
    return entries;
  } finally {
    client.close();
  }
}

type Named = Pick<ServicePort, 'namespace' | 'name' | 'protocol' | 'portName' | 'family'>;

function keyOf({ namespace, name, protocol, portName, family }: Named): string {
  return `${namespace}/${name}/${protocol}/${portName}/${family}`;
}

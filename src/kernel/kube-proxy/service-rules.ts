import { FAMILIES, type Family } from '../../core/ip.ts';
import { PROTOCOLS, type Protocol, type ServicePort } from '../../core/service/snapshot.ts';
import {
  missingVips,
  servedByIptables,
  vipKey,
  wantedVips,
  type ServedVips,
} from '../../plan/kube-proxy/completeness.ts';
import { NFT_TABLE, VIP_DEVICE } from '../../plan/kube-proxy/names.ts';
import { IpvsClient } from '../ipvs/client.ts';
import { addressFromBytes } from '../netlink/address-bytes.ts';
import { NftablesClient } from '../nftables/client.ts';
import { RouteClient } from '../route/client.ts';
import { saveAll } from './saved.ts';

const NUMBERS: Readonly<Record<number, Protocol>> = { 6: 'TCP', 17: 'UDP', 132: 'SCTP' };
/** In nftables' concatenations every part begins at a multiple of four bytes. */
const PART_BYTES = 4;

/**
 * What kube-proxy does not serve of these Services, in whichever mode it is: a few words each, empty when its rules are
 * complete. Changes nothing. Throws KernelError.
 */
export async function missingInKubeProxy(
  servicePorts: ReadonlyMap<string, ServicePort>,
  hasNftables: boolean,
): Promise<readonly string[]> {
  const saved = await saveAll();
  const nftables = hasNftables ? await servedByNftables() : new Map<Family, ServedVips>();
  const ipvs = await servedByIpvs();
  return FAMILIES.flatMap((family) => {
    const iptables = saved.filter((each) => each.family === family).map(({ tables }) => servedByIptables(tables));
    return missingVips(wantedVips(servicePorts, family), [
      ...iptables,
      nftables.get(family) ?? new Set(),
      ipvs.get(family) ?? new Set(),
    ]);
  });
}

async function servedByNftables(): Promise<ReadonlyMap<Family, ServedVips>> {
  const client = new NftablesClient();
  const served = new Map<Family, Set<string>>();
  try {
    const tables = (await client.listTables()).filter(({ name }) => name === NFT_TABLE);
    for (const table of tables) {
      const hooked = (await client.listChains(table)).map(({ name }) => name);
      if (!['nat-prerouting', 'nat-output', 'nat-postrouting'].every((name) => hooked.includes(name))) continue;
      const maps = (await client.listSets(table)).map(({ name }) => name);
      const keysOf = async (map: string) =>
        maps.includes(map) ? (await client.listElements(table, map)).map(({ key }) => Buffer.from(key)) : [];
      const vips = (await keysOf('service-ips')).flatMap(vipOf);
      const nodePorts = (await keysOf('service-nodeports')).flatMap(nodePortOf);
      served.set(table.family === 'ip' ? 'IPv4' : 'IPv6', new Set([...vips, ...nodePorts]));
    }
    return served;
  } finally {
    client.close();
  }
}

/** address . protocol . port */
function vipOf(key: Buffer): string[] {
  const addressBytes = key.length - 2 * PART_BYTES;
  if (addressBytes !== 4 && addressBytes !== 16) return [];
  const protocol = NUMBERS[key[addressBytes] ?? 0];
  if (protocol === undefined) return [];
  const address = addressFromBytes(key.subarray(0, addressBytes));
  return [vipKey(protocol, address, key.readUInt16BE(addressBytes + PART_BYTES))];
}

/** protocol . port */
function nodePortOf(key: Buffer): string[] {
  const protocol = key.length === 2 * PART_BYTES ? NUMBERS[key[0] ?? 0] : undefined;
  return protocol === undefined ? [] : [vipKey(protocol, '', key.readUInt16BE(PART_BYTES))];
}

/** Virtual servers with somewhere to go whose address packets reach; one on any other address is taken for a node port. */
async function servedByIpvs(): Promise<ReadonlyMap<Family, ServedVips>> {
  const routes = new RouteClient(undefined);
  const servers = new IpvsClient(undefined);
  const served = new Map<Family, Set<string>>(FAMILIES.map((family) => [family, new Set()]));
  try {
    if (!(await routes.device.isForeign()) || !(await servers.isAvailable())) return served;
    const addresses = await routes.listAddresses();
    const vips = new Set(addresses.filter((each) => each.interfaceName === VIP_DEVICE).map(({ address }) => address));
    for (const server of await servers.listServers()) {
      if ((await servers.listRealServers(server)).length === 0 || !PROTOCOLS.includes(server.protocol)) continue;
      const { protocol, address, port } = server;
      const family: Family = address.includes(':') ? 'IPv6' : 'IPv4';
      served.get(family)?.add(vipKey(protocol, vips.has(address) ? address : '', port));
    }
    return served;
  } finally {
    routes.close();
    servers.close();
  }
}

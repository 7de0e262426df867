import ipaddr from 'ipaddr.js';
import {
  affinityPorts,
  backendsOf,
  limitAffinity,
  type AffinityEntry,
  type AffinityMemory,
} from '../../core/service/affinity.ts';
import type { Family } from '../../core/ip.ts';
import type { Backend, ServicePort, ServicePortKey, Snapshot } from '../../core/service/snapshot.ts';
import { addressBytes, bytesKey, join, portBytes, protocolBytes } from './bytes.ts';
import type { Bytes } from './bytes.ts';
import { LAYOUTS } from './layout.ts';
import type { Element } from './objects.ts';

/** An element's key is the client's address and this, in the map that affinity.ts explains. */
function identityOf({ clusterIP, port, protocol }: ServicePort): Bytes {
  return [...addressBytes(clusterIP), ...portBytes(port), ...protocolBytes(protocol)];
}

function dataOf({ protocol }: ServicePort, { address, port }: AffinityEntry['backend']): Uint8Array {
  return join(protocolBytes(protocol), addressBytes(address), portBytes(port));
}

/** What elements of the map say, in words; those of Services or backends that are gone are not counted at all. */
export function readAffinity(family: Family, elements: readonly Element[], snapshot: Snapshot): AffinityMemory {
  const { addressBytes: length } = LAYOUTS[family];
  const ports = new Map(
    affinityPorts(snapshot)
      .filter((port) => port.family === family)
      .map((port) => [bytesKey(join(identityOf(port))), { port, backends: backendsByData(port) }]),
  );
  const entries = elements.flatMap(({ key, data, lifetime }): AffinityEntry[] => {
    const known = ports.get(bytesKey(key.subarray(length)));
    const backend = data instanceof Uint8Array ? known?.backends.get(bytesKey(data)) : undefined;
    if (known === undefined || backend === undefined || lifetime === undefined) return [];
    const client = ipaddr.fromByteArray([...key.subarray(0, length)]).toString();
    const { address, port } = backend;
    const remainingSeconds = lifetime.remainingMs / 1000;
    return [{ key: known.port.key, client, backend: { address, port }, remainingSeconds }];
  });
  return limitAffinity(entries);
}

function backendsByData(port: ServicePort): ReadonlyMap<string, Backend> {
  return new Map(backendsOf(port).map((backend) => [bytesKey(dataOf(port, backend)), backend]));
}

/** The elements of one family for what another mode remembered; nothing for Services or backends that are gone. */
export function affinityEntryElements(
  family: Family,
  entries: readonly AffinityEntry[],
  snapshot: Snapshot,
): readonly Element[] {
  const known = new Map<ServicePortKey, ReadonlyMap<string, Backend>>();
  const seen = new Set<string>();
  return entries.flatMap(({ key, client, backend, remainingSeconds }): Element[] => {
    const port = snapshot.servicePorts.get(key);
    if (port === undefined || port.family !== family || port.affinitySeconds === 0) return [];
    const backends = known.get(key) ?? backendsByData(port);
    known.set(key, backends);
    const element = { key: join(addressBytes(client), identityOf(port)), data: dataOf(port, backend) };
    const id = bytesKey(element.key);
    const remainingMs = Math.round(Math.min(remainingSeconds, port.affinitySeconds) * 1000);
    if (!backends.has(bytesKey(element.data)) || seen.has(id) || remainingMs <= 0) return [];
    seen.add(id);
    return [{ ...element, lifetime: { timeoutMs: port.affinitySeconds * 1000, remainingMs } }];
  });
}

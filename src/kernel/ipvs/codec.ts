import { FAMILIES, type Family } from '../../core/ip.ts';
import { PROTOCOLS } from '../../core/service/snapshot.ts';
import { familyOf, type Frontend, type VirtualServer } from '../../plan/ipvs/objects.ts';
import { addressFromBytes, addressToBytes } from '../netlink/address-bytes.ts';
import { AF_INET, AF_INET6, IP_VS_SVC_F_PERSISTENT, IP_VS_SVC_F_SCHED_MASK, PROTOCOL_NUMBERS } from './constants.ts';
import type { ServiceValues } from './schema.ts';

/** union nf_inet_addr */
const ADDRESS_BYTES = 16;
const FAMILY_NUMBERS: Readonly<Record<Family, number>> = { IPv4: AF_INET, IPv6: AF_INET6 };
const ALL_BITS: Readonly<Record<Family, Uint8Array>> = {
  IPv4: Uint8Array.of(255, 255, 255, 255),
  IPv6: nativeWords(128),
};

/** What says which virtual server is meant. */
export function encodeFrontend(frontend: Frontend): ServiceValues {
  return {
    addressFamily: FAMILY_NUMBERS[familyOf(frontend)],
    protocol: PROTOCOL_NUMBERS[frontend.protocol],
    address: encodeAddress(frontend.address),
    port: frontend.port,
  };
}

export function encodeServer(server: VirtualServer): ServiceValues {
  const persistent = server.persistenceSeconds > 0 ? IP_VS_SVC_F_PERSISTENT : 0;
  return {
    ...encodeFrontend(server),
    scheduler: server.scheduler,
    flags: nativeWords(persistent | server.schedulerFlags, IP_VS_SVC_F_PERSISTENT | IP_VS_SVC_F_SCHED_MASK),
    timeoutSeconds: server.persistenceSeconds,
    netmask: ALL_BITS[familyOf(server)],
  };
}

/** Undefined for a virtual server of a kind that we never make: by firewall mark, or of another protocol. */
export function decodeServer(values: ServiceValues): VirtualServer | undefined {
  const family = FAMILIES.find((known) => FAMILY_NUMBERS[known] === values.addressFamily);
  const protocol = PROTOCOLS.find((known) => PROTOCOL_NUMBERS[known] === values.protocol);
  if (family === undefined || protocol === undefined || values.address === undefined) return undefined;
  const flags = values.flags === undefined ? 0 : Buffer.from(values.flags).readUInt32LE();
  const isPersistent = (flags & IP_VS_SVC_F_PERSISTENT) !== 0;
  return {
    address: decodeAddress(values.address, family),
    protocol,
    port: values.port ?? 0,
    scheduler: values.scheduler ?? '',
    schedulerFlags: flags & IP_VS_SVC_F_SCHED_MASK,
    persistenceSeconds: isPersistent ? (values.timeoutSeconds ?? 0) : 0,
  };
}

export function encodeAddress(address: string): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  bytes.set(addressToBytes(address));
  return bytes;
}

export function decodeAddress(bytes: Uint8Array, family: Family): string {
  return addressFromBytes(bytes.subarray(0, family === 'IPv4' ? 4 : ADDRESS_BYTES));
}

function nativeWords(...words: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(words.length * 4);
  words.forEach((word, index) => bytes.writeUInt32LE(word >>> 0, index * 4));
  return Uint8Array.from(bytes);
}

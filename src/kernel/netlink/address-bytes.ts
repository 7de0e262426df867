import ipaddr from 'ipaddr.js';
import { parseAddress } from '../../core/ip.ts';
import { malformed } from './attributes.ts';

/** Canonical address text as it stands in a packet: 4 or 16 bytes. */
export function addressToBytes(address: string): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}

/** The canonical text of 4 or 16 bytes. Throws `KernelError` for any other number of them. */
export function addressFromBytes(bytes: Uint8Array): string {
  if (bytes.length !== 4 && bytes.length !== 16) throw malformed('an address', `${bytes.length} bytes`);
  return parseAddress(ipaddr.fromByteArray([...bytes]).toString()).text;
}

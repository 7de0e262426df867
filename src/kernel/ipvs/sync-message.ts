import type { Template } from '../../plan/ipvs/persistence.ts';
import { addressToBytes } from '../netlink/address-bytes.ts';
import { PROTOCOL_NUMBERS } from './constants.ts';

/** SYNC_PROTO_VER (net/netfilter/ipvs/ip_vs_sync.c) */
const VERSION = 1;
/** struct ip_vs_sync_mesg */
const HEADER_BYTES = 8;
/** struct ip_vs_sync_v4 and ip_vs_sync_v6, up to their addresses. */
const FIXED_BYTES = 24;
/** STYPE_F_INET6 */
const TYPE_IPV6 = 1;
/** IP_VS_CONN_F_TEMPLATE; forwarding by masquerading is 0. */
const FLAG_TEMPLATE = 0x1000;
/** The kernel takes this much at least, whatever the link. */
const MAX_BYTES = 1_400;
const MAX_TEMPLATES = 255;

/** Datagrams in which one IPVS tells another of connections; this is how templates are made from outside. */
export function encodeSyncMessages(templates: readonly Template[], syncId: number): Buffer[] {
  const messages: Buffer[] = [];
  let some: Buffer[] = [];
  let bytes = HEADER_BYTES;
  const flush = (): void => {
    if (some.length > 0) messages.push(Buffer.concat([encodeHeader(syncId, bytes, some.length), ...some]));
    some = [];
    bytes = HEADER_BYTES;
  };
  for (const template of templates) {
    const encoded = encodeTemplate(template);
    if (bytes + encoded.length > MAX_BYTES || some.length === MAX_TEMPLATES) flush();
    some.push(encoded);
    bytes += encoded.length;
  }
  flush();
  return messages;
}

function encodeHeader(syncId: number, bytes: number, count: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(syncId, 1);
  header.writeUInt16BE(bytes, 2);
  header.writeUInt8(count, 4);
  header.writeInt8(VERSION, 5);
  return header;
}

function encodeTemplate({ frontend, client, realServer, remainingSeconds }: Template): Buffer {
  const addresses = [client, frontend.address, realServer.address].map(addressToBytes);
  const fixed = Buffer.alloc(FIXED_BYTES);
  const size = FIXED_BYTES + addresses.reduce((sum, { length }) => sum + length, 0);
  fixed.writeUInt8(addresses[0]?.length === 4 ? 0 : TYPE_IPV6, 0);
  fixed.writeUInt8(PROTOCOL_NUMBERS[frontend.protocol], 1);
  fixed.writeUInt16BE(size, 2);
  fixed.writeUInt32BE(FLAG_TEMPLATE, 4);
  // State and the client's port are 0.
  fixed.writeUInt16BE(frontend.port, 12);
  fixed.writeUInt16BE(realServer.port, 14);
  fixed.writeUInt32BE(remainingSeconds, 20);
  return Buffer.concat([fixed, ...addresses]);
}

import ipaddr from 'ipaddr.js';

/** IPPROTO_SCTP */
export const SCTP = 132;
const INIT = 1;
const HEADER_BYTES = 12;
const CHUNK_BYTES = 20;

/** CRC32c (RFC 3309), bit by bit: a packet has 32 bytes. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** The first packet of an association (RFC 9260, 3.3.2). `tag` comes back out of it, whatever NAT does to the ports. */
export function initPacket(sourcePort: number, destinationPort: number, tag: number): Buffer {
  const packet = Buffer.alloc(HEADER_BYTES + CHUNK_BYTES);
  packet.writeUInt16BE(sourcePort, 0);
  packet.writeUInt16BE(destinationPort, 2);
  // Verification tag 0: this is an INIT.
  packet.writeUInt8(INIT, HEADER_BYTES);
  packet.writeUInt16BE(CHUNK_BYTES, HEADER_BYTES + 2);
  packet.writeUInt32BE(tag, HEADER_BYTES + 4);
  packet.writeUInt32BE(65_536, HEADER_BYTES + 8);
  packet.writeUInt16BE(1, HEADER_BYTES + 12);
  packet.writeUInt16BE(1, HEADER_BYTES + 14);
  packet.writeUInt32BE(tag, HEADER_BYTES + 16);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
}

export interface Arrival {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly tag: number;
}

export type Seen =
  | ({ readonly kind: 'init' } & Arrival)
  /** An ICMP error "port unreachable" about the INIT with this tag. */
  | { readonly kind: 'refused'; readonly tag: number };

/** Reads an IP packet as a raw socket gives it; undefined for all that is neither an INIT nor an error about one. */
export function readPacket(packet: Buffer): Seen | undefined {
  const ip = readHeader(packet);
  if (ip === undefined) return undefined;
  if (ip.protocol === SCTP) {
    const init = readInit(ip.payload);
    return init === undefined ? undefined : { kind: 'init', source: ip.source, destination: ip.destination, ...init };
  }
  if (!isPortUnreachable(ip.protocol, ip.payload)) return undefined;
  const inner = readHeader(ip.payload.subarray(8));
  const init = inner?.protocol === SCTP ? readInit(inner.payload) : undefined;
  return init === undefined ? undefined : { kind: 'refused', tag: init.tag };
}

interface IpPacket {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly payload: Buffer;
}

function readHeader(packet: Buffer): IpPacket | undefined {
  const [first = 0] = packet;
  const version = first >> 4;
  const address = (start: number, end: number): string =>
    ipaddr.fromByteArray([...packet.subarray(start, end)]).toString();
  if (version === 4 && packet.length >= 20) {
    const payload = packet.subarray((first & 15) * 4);
    return { source: address(12, 16), destination: address(16, 20), protocol: packet[9] ?? 0, payload };
  }
  if (version !== 6 || packet.length < 40) return undefined;
  const payload = packet.subarray(40);
  return { source: address(8, 24), destination: address(24, 40), protocol: packet[6] ?? 0, payload };
}

function readInit(payload: Buffer): Pick<Arrival, 'port' | 'tag'> | undefined {
  if (payload.length < HEADER_BYTES + CHUNK_BYTES || payload[HEADER_BYTES] !== INIT) return undefined;
  return { port: payload.readUInt16BE(2), tag: payload.readUInt32BE(HEADER_BYTES + 4) };
}

/** IPPROTO_ICMP, destination unreachable, port; IPPROTO_ICMPV6 likewise. */
function isPortUnreachable(protocol: number, payload: Buffer): boolean {
  if (protocol === 1) return payload[0] === 3 && payload[1] === 3;
  return protocol === 58 && payload[0] === 1 && payload[1] === 4;
}

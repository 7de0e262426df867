import { read } from 'node:fs';
import { isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';
import ipaddr from 'ipaddr.js';
import koffi from 'koffi';
import { AF_INET, AF_INET6, callLibc, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_RAW } from '../../../src/kernel/netlink/libc.ts';
import { initPacket, readPacket, SCTP } from './init-packet.ts';

/**
 * The program that runs inside a namespace: a line of JSON on stdin sends an INIT, and each INIT or refusal that the
 * namespace gets is a line on stdout. It ends when its parent closes stdin.
 */
const AF_PACKET = 17;
/** ETH_P_ALL in network byte order. */
const ALL_PACKETS = 0x0300;

export interface Send {
  readonly address: string;
  readonly port: number;
  readonly sourcePort: number;
  readonly tag: number;
}

const libc = koffi.load('libc.so.6');
const sendto = libc.func('long sendto(int, const void *, long, int, const void *, int)') as (
  ...values: readonly (number | Uint8Array)[]
) => number;
const senders = {
  IPv4: callLibc('socket', 'a raw SCTP socket', AF_INET, SOCK_RAW | SOCK_CLOEXEC, SCTP),
  IPv6: callLibc('socket', 'a raw SCTP socket', AF_INET6, SOCK_RAW | SOCK_CLOEXEC, SCTP),
};

function socketAddress(address: string): Buffer {
  const bytes = Buffer.from(ipaddr.parse(address).toByteArray());
  if (!isIPv6(address)) return Buffer.concat([Buffer.from([AF_INET, 0, 0, 0]), bytes, Buffer.alloc(8)]);
  return Buffer.concat([Buffer.from([AF_INET6, 0, 0, 0, 0, 0, 0, 0]), bytes, Buffer.alloc(4)]);
}

function send({ address, port, sourcePort, tag }: Send): void {
  const packet = initPacket(sourcePort, port, tag);
  const to = socketAddress(address);
  const fd = isIPv6(address) ? senders.IPv6 : senders.IPv4;
  if (sendto(fd, packet, packet.length, 0, to, to.length) !== packet.length) {
    throw new Error(`sendto ${address}: errno ${koffi.errno()}`);
  }
}

const ears = callLibc('socket', 'a packet socket', AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, ALL_PACKETS);
const buffer = Buffer.alloc(2_048);
function listen(): void {
  read(ears, buffer, 0, buffer.length, null, (error, length) => {
    if (error !== null) throw error;
    const seen = readPacket(buffer.subarray(0, length));
    if (seen !== undefined) process.stdout.write(`${JSON.stringify(seen)}\n`);
    listen();
  });
}

listen();
process.stdout.write('"ready"\n');
createInterface(process.stdin)
  .on('line', (line) => send(JSON.parse(line) as Send))
  .on('close', () => process.exit(0));

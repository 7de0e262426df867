import { closeSync, readSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import koffi from 'koffi';
import { encodeSocketAddress, inNetns } from '../../../src/kernel/netns.ts';
import {
  AF_INET,
  AF_INET6,
  callLibc,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from '../../../src/kernel/netlink/libc.ts';
import { initPacket, readPacket, SCTP, type Seen } from './init-packet.ts';

const AF_PACKET = 17;
/** ETH_P_ALL in network byte order. */
const ALL_PACKETS = 0x0300;
const SO_ATTACH_FILTER = 26;
const ICMP = 1;
const ICMPV6 = 58;

/**
 * Lets SCTP and ICMP through and nothing else that a namespace sees, in which TCP and UDP flow: the version of IP is in the
 * first four bits, and the protocol in byte 9 of IPv4 and byte 6 of IPv6 (classic BPF, linux/bpf_common.h).
 */
const FILTER = [
  { code: 0x30, jt: 0, jf: 0, k: 0 },
  { code: 0x54, jt: 0, jf: 0, k: 0xf0 },
  { code: 0x15, jt: 0, jf: 2, k: 0x40 },
  { code: 0x30, jt: 0, jf: 0, k: 9 },
  { code: 0x05, jt: 0, jf: 0, k: 2 },
  { code: 0x15, jt: 0, jf: 5, k: 0x60 },
  { code: 0x30, jt: 0, jf: 0, k: 6 },
  { code: 0x15, jt: 2, jf: 0, k: SCTP },
  { code: 0x15, jt: 1, jf: 0, k: ICMP },
  { code: 0x15, jt: 0, jf: 1, k: ICMPV6 },
  { code: 0x06, jt: 0, jf: 0, k: 0xffff },
  { code: 0x06, jt: 0, jf: 0, k: 0 },
];

const libc = koffi.load('libc.so.6');
const instruction = koffi.struct({ code: 'uint16', jt: 'uint8', jf: 'uint8', k: 'uint32' });
const program = koffi.struct({ len: 'uint16', filter: koffi.pointer(instruction) });
const attach = libc.func('setsockopt', 'int', ['int', 'int', 'int', koffi.pointer(program), 'int']) as (
  ...values: readonly unknown[]
) => number;
const sendto = libc.func('long sendto(int, const void *, long, int, const void *, int)') as (
  ...values: readonly (number | Uint8Array)[]
) => number;

export interface Send {
  readonly address: string;
  readonly port: number;
  readonly sourcePort: number;
  readonly tag: number;
}

/** Sends and hears single packets of SCTP in a network namespace, which other kernels than this need not know. */
export class Scout {
  readonly #ears: number;
  readonly #senders: { readonly IPv4: number; readonly IPv6: number };
  readonly #buffer = Buffer.alloc(2_048);

  constructor(netnsPath: string) {
    const open = (family: number, type: number, protocol: number): number =>
      inNetns(netnsPath, () =>
        callLibc('socket', `a socket in ${netnsPath}`, family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol),
      );
    this.#senders = { IPv4: open(AF_INET, SOCK_RAW, SCTP), IPv6: open(AF_INET6, SOCK_RAW, SCTP) };
    this.#ears = open(AF_PACKET, SOCK_DGRAM, ALL_PACKETS);
    const filter = { len: FILTER.length, filter: FILTER };
    if (attach(this.#ears, SOL_SOCKET, SO_ATTACH_FILTER, filter, koffi.sizeof(program)) !== 0)
      throw new Error(`SO_ATTACH_FILTER in ${netnsPath}: errno ${koffi.errno()}`);
  }

  send({ address, port, sourcePort, tag }: Send): void {
    const packet = initPacket(sourcePort, port, tag);
    // A raw socket knows no ports.
    const to = encodeSocketAddress(address, 0);
    const fd = isIPv6(address) ? this.#senders.IPv6 : this.#senders.IPv4;
    if (sendto(fd, packet, packet.length, 0, to, to.length) !== packet.length)
      throw new Error(`sendto ${address}: errno ${koffi.errno()}`);
  }

  /** What the namespace has got since it was asked last: INITs, its own included, and refusals of them. */
  heard(): readonly Seen[] {
    const all: Seen[] = [];
    for (let length = this.#read(); length > 0; length = this.#read()) {
      const seen = readPacket(this.#buffer.subarray(0, length));
      if (seen !== undefined) all.push(seen);
    }
    return all;
  }

  close(): void {
    for (const fd of [this.#ears, ...Object.values(this.#senders)]) closeSync(fd);
  }

  /** 0 where there is nothing. */
  #read(): number {
    try {
      return readSync(this.#ears, this.#buffer);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
      throw error;
    }
  }
}

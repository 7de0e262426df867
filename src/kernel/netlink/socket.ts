import { closeSync, readSync, write, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { KernelError } from '../error.ts';
import { inNetns } from '../netns.ts';
import {
  AF_NETLINK,
  callLibc,
  int32,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from './libc.ts';
import { ownPort } from './own-ports.ts';

/** linux/netlink.h */
export const NETLINK_NETFILTER = 12;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;

/** The kernel never builds a datagram of a dump larger than 32 KiB; acknowledgements are tiny. */
const RECEIVE_BYTES = 64 * 1024;
/** Room for some ten thousand refusals of one failed transaction. */
const RECEIVE_QUEUE_BYTES = 8 * 1024 * 1024;
/** Requests above this size are written by a worker thread: their commit would hold up the event loop. */
const LARGE_REQUEST_BYTES = 64 * 1024;

const writeInBackground = promisify(write);

/** One AF_NETLINK socket. It belongs for good to the network namespace it was opened in. */
export class NetlinkSocket {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(RECEIVE_BYTES);
  #sendQueueBytes = 0;
  #isOpen = true;
  #disown: () => void = () => undefined;

  constructor(protocol: number, netnsPath?: string) {
    const open = () => callLibc('socket', 'AF_NETLINK', AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    this.#fd = netnsPath === undefined ? open() : inNetns(netnsPath, open);
    try {
      const address = Buffer.alloc(12);
      address.writeUInt16LE(AF_NETLINK);
      callLibc('bind', 'AF_NETLINK', this.#fd, address, address.length);
      this.#disown = ownPort(portIdOf(this.#fd));
      for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK]) {
        callLibc('setsockopt', 'AF_NETLINK', this.#fd, SOL_NETLINK, option, int32(1), 4);
      }
      this.#resize(SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_QUEUE_BYTES);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The kernel refuses a datagram larger than the send queue; the limit in sysctl does not bind CAP_NET_ADMIN. */
  #resize(forced: number, limited: number, bytes: number): void {
    try {
      callLibc('setsockopt', 'AF_NETLINK', this.#fd, SOL_SOCKET, forced, int32(bytes), 4);
    } catch {
      callLibc('setsockopt', 'AF_NETLINK', this.#fd, SOL_SOCKET, limited, int32(bytes), 4);
    }
  }

  /** Sends one datagram. When it resolves the kernel has handled it and queued every answer. */
  async send(datagram: Uint8Array): Promise<void> {
    const queue = datagram.length + 4096;
    if (queue > this.#sendQueueBytes) {
      this.#resize(SO_SNDBUFFORCE, SO_SNDBUF, queue);
      this.#sendQueueBytes = queue;
    }
    try {
      if (datagram.length > LARGE_REQUEST_BYTES) await writeInBackground(this.#fd, datagram);
      else writeSync(this.#fd, datagram);
    } catch (error) {
      throw asKernelError('netlink send', `${datagram.length} bytes`, error);
    }
  }

  /** The next datagram, valid until the next call, or undefined when none is queued. Throws ENOBUFS when some were lost. */
  receive(): Buffer | undefined {
    try {
      return this.#buffer.subarray(0, readSync(this.#fd, this.#buffer));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
      throw asKernelError('netlink receive', 'AF_NETLINK', error);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#disown();
    closeSync(this.#fd);
  }
}

/** The port id that the kernel gave to a bound socket. */
function portIdOf(fd: number): number {
  const address = Buffer.alloc(12);
  callLibc('getsockname', 'AF_NETLINK', fd, address, int32(address.length));
  return address.readUInt32LE(4);
}

function asKernelError(operation: string, object: string, error: unknown): KernelError {
  const errno = (error as NodeJS.ErrnoException).code;
  return new KernelError({ operation, object, errno, retryable: errno === 'ENOBUFS' || errno === 'EINTR' });
}

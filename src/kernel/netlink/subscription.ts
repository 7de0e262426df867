import { closeSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { KernelError } from '../error.ts';
import { inNetns } from '../netns.ts';
import {
  AF_NETLINK,
  callLibc,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
  int32,
} from './libc.ts';
import { splitMessages, type Message } from './message.ts';

const RECEIVE_BYTES = 64 * 1024;
const RECEIVE_QUEUE_BYTES = 4 * 1024 * 1024;
/** How long a read waits before it looks whether it is still wanted. */
const READ_SECONDS = 1;

const readInBackground = promisify(read);

/**
 * Listens to multicast groups of a netlink protocol. Each read waits in a worker thread, so news wakes the event loop at
 * once and silence costs nothing.
 */
export class NetlinkSubscription {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(RECEIVE_BYTES);

  /** `groups` are numbers from 1 to 32. Throws `KernelError`. */
  constructor(protocol: number, groups: readonly number[], netnsPath?: string) {
    const open = () => callLibc('socket', 'AF_NETLINK', AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    this.#fd = netnsPath === undefined ? open() : inNetns(netnsPath, open);
    try {
      const address = Buffer.alloc(12);
      address.writeUInt16LE(AF_NETLINK);
      address.writeUInt32LE(
        groups.reduce((mask, group) => (mask | (1 << (group - 1))) >>> 0, 0),
        8,
      );
      callLibc('bind', 'AF_NETLINK', this.#fd, address, address.length);
      const timeout = Buffer.alloc(16);
      timeout.writeBigInt64LE(BigInt(READ_SECONDS));
      callLibc('setsockopt', 'AF_NETLINK', this.#fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length);
      this.#growQueue();
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /**
   * Calls `onMessages` with each datagram's messages, valid during the call, or with `undefined` when the kernel had to
   * drop some. Returns when `signal` aborts, at most a second later, and closes the socket. Throws `KernelError`.
   */
  async listen(onMessages: (messages: readonly Message[] | undefined) => void, signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const messages = await this.#next();
        if (messages !== 'silence' && !signal.aborted) onMessages(messages);
      }
    } finally {
      closeSync(this.#fd);
    }
  }

  async #next(): Promise<readonly Message[] | undefined | 'silence'> {
    try {
      const { bytesRead } = await readInBackground(this.#fd, this.#buffer, 0, RECEIVE_BYTES, null);
      return splitMessages(this.#buffer.subarray(0, bytesRead));
    } catch (error) {
      const errno = (error as NodeJS.ErrnoException).code;
      if (errno === 'EAGAIN' || errno === 'EINTR') return 'silence';
      if (errno === 'ENOBUFS') return undefined;
      throw new KernelError({ operation: 'netlink receive', object: 'multicast group', errno, retryable: false });
    }
  }

  #growQueue(): void {
    const size = int32(RECEIVE_QUEUE_BYTES);
    try {
      callLibc('setsockopt', 'AF_NETLINK', this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, size, size.length);
    } catch {
      callLibc('setsockopt', 'AF_NETLINK', this.#fd, SOL_SOCKET, SO_RCVBUF, size, size.length);
    }
  }
}

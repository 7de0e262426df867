import { closeSync, openSync } from 'node:fs';
import ipaddr from 'ipaddr.js';
import {
  AF_INET,
  AF_INET6,
  callLibc,
  int32,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from './netlink/libc.ts';

const CLONE_NEWNET = 0x40000000;

/**
 * Runs `fn` with the calling thread inside the network namespace at `path` (`/run/netns/NAME`, `/proc/PID/ns/net`) and
 * returns to the old one before anything else can run. `fn` must be synchronous: sockets it opens stay in that namespace
 * for good, work it defers does not. Ends the process when the way back is barred: it would go on in the wrong place.
 */
export function inNetns<T>(path: string, fn: () => T extends PromiseLike<unknown> ? never : T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const target = openSync(path, 'r');
    try {
      callLibc('setns', path, target, CLONE_NEWNET);
    } finally {
      closeSync(target);
    }
    try {
      return fn();
    } finally {
      returnTo(home);
    }
  } finally {
    closeSync(home);
  }
}

function returnTo(home: number): void {
  try {
    callLibc('setns', 'the original network namespace', home, CLONE_NEWNET);
  } catch (error) {
    process.stderr.write(`cannot leave a network namespace: ${String(error)}\n`);
    process.abort();
  }
}

/** A listening TCP socket in the namespace, for `net.Server.listen({ fd })`. The caller closes it. */
export function listenTcpIn(netnsPath: string, address: string, port: number): number {
  return openBound(netnsPath, SOCK_STREAM, { address, port }, (fd, name) => callLibc('listen', name, fd, 511));
}

/** A bound UDP socket in the namespace, for `dgram.Socket.bind({ fd })`. The caller closes it. */
export function bindUdpIn(netnsPath: string, address: string, port: number): number {
  return openBound(netnsPath, SOCK_DGRAM, { address, port }, () => 0);
}

function openBound(
  netnsPath: string,
  type: number,
  to: { readonly address: string; readonly port: number },
  finish: (fd: number, name: string) => unknown,
): number {
  const name = `${to.address} port ${to.port} in ${netnsPath}`;
  const sockaddr = encodeSocketAddress(to.address, to.port);
  const family = sockaddr.length === 16 ? AF_INET : AF_INET6;
  const fd = inNetns(netnsPath, () => callLibc('socket', name, family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  try {
    callLibc('setsockopt', name, fd, SOL_SOCKET, SO_REUSEADDR, int32(1), 4);
    callLibc('bind', name, fd, sockaddr, sockaddr.length);
    finish(fd, name);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes). */
export function encodeSocketAddress(address: string, port: number): Buffer {
  const bytes = ipaddr.parse(address).toByteArray();
  const isIPv4 = bytes.length === 4;
  const sockaddr = Buffer.alloc(isIPv4 ? 16 : 28);
  sockaddr.writeUInt16LE(isIPv4 ? AF_INET : AF_INET6, 0);
  sockaddr.writeUInt16BE(port, 2);
  sockaddr.set(bytes, isIPv4 ? 4 : 8);
  return sockaddr;
}

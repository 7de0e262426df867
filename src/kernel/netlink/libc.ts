import koffi from 'koffi';
import { getSystemErrorMap } from 'node:util';
import { KernelError } from '../error.ts';

/** The few calls that Node has no words for. Everything else on a descriptor goes through node:fs. */
const libc = koffi.load('libc.so.6');

type Call = (...values: readonly (number | Uint8Array)[]) => number;
const calls = {
  socket: libc.func('int socket(int, int, int)') as Call,
  bind: libc.func('int bind(int, const void *, int)') as Call,
  listen: libc.func('int listen(int, int)') as Call,
  setsockopt: libc.func('int setsockopt(int, int, int, const void *, int)') as Call,
  getsockopt: libc.func('int getsockopt(int, int, int, _Inout_ void *, _Inout_ void *)') as Call,
  getsockname: libc.func('int getsockname(int, _Out_ void *, _Inout_ void *)') as Call,
  setns: libc.func('int setns(int, int)') as Call,
  clock_getres: libc.func('int clock_getres(int, _Out_ void *)') as Call,
};
export type LibcCall = keyof typeof calls;

/** asm-generic/socket.h; the same numbers on amd64 and arm64. */
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
/** The 64-bit struct timeval form; 20 is the same on amd64 and arm64. */
export const SO_RCVTIMEO = 20;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;

const ERRNO_NAMES = new Map([...getSystemErrorMap()].map(([number, [name]]) => [-number, name]));
/** Names that libuv does not know but nfnetlink answers with (asm-generic/errno.h). */
ERRNO_NAMES.set(85, 'ERESTART').set(16, 'EBUSY').set(22, 'EINVAL');

/** `ENOENT` for 2; `errno 999` for a number without a name. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
}

/** Calls libc; throws `KernelError` about `object` when it returns -1. */
export function callLibc(name: LibcCall, object: string, ...values: readonly (number | Uint8Array)[]): number {
  const result = calls[name](...values);
  if (result !== -1) return result;
  const errno = errnoName(koffi.errno());
  throw new KernelError({ operation: name, object, errno, retryable: errno === 'EINTR' || errno === 'ENOBUFS' });
}

export function int32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** linux/time.h */
export const CLOCK_MONOTONIC_COARSE = 6;

/** By how much a clock advances at a time. Throws KernelError. */
export function clockResolutionNs(clock: number): number {
  // struct timespec, 64 bits each
  const timespec = Buffer.alloc(16);
  callLibc('clock_getres', `clock ${clock}`, clock, timespec);
  return Number(timespec.readBigInt64LE(0)) * 1e9 + Number(timespec.readBigInt64LE(8));
}

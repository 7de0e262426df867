import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { callLibc, AF_INET, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from '../../src/kernel/netlink/libc.ts';
import { inNetns } from '../../src/kernel/netns.ts';
import type { Host } from '../../src/sandbox/net/testbed.ts';
import { get } from '../../src/support/http.ts';

const TIMEOUT_MS = 5_000;

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A TCP connection from `host`, over IPv4, without a process of its own there; it begins at once. */
export function connectInside(host: Host, port: number, address: string): Socket {
  const name = `${address} port ${port} in ${host.netns}`;
  const type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const fd = inNetns(host.netnsPath, () => callLibc('socket', name, AF_INET, type, 0));
  // Read from before it is connected, a socket ends.
  const socket = new Socket({ fd, manualStart: true } as { fd: number });
  return socket.connect(port, address);
}

/** What `curl` of an URL on `host` gives; undefined where nobody answers. */
export async function getInside(
  host: Host,
  port: number,
  path: string,
  address = '127.0.0.1',
): Promise<Answer | undefined> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const createConnection = () => connectInside(host, port, address);
  try {
    const request = get({ host: address, port, path, signal, createConnection });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, body: await text(response) };
  } catch {
    return undefined;
  }
}

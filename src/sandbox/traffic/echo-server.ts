import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Listener, Reply } from './messages.ts';

function answer(question: string, identity: string, source: string): string {
  return JSON.stringify({ id: Number(question), identity, source } satisfies Reply);
}

async function listenTcp(address: string, { port, identity }: Listener): Promise<() => void> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const source = socket.remoteAddress ?? '';
    open.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined);
    createInterface(socket)
      .on('line', (line) => socket.write(`${answer(line, identity, source)}\n`))
      .on('error', () => undefined);
  });
  server.listen({ host: address, port, backlog: 1024 });
  await once(server, 'listening');
  return () => {
    server.close();
    for (const socket of open) socket.resetAndDestroy();
  };
}

async function listenUdp(address: string, { port, identity }: Listener): Promise<() => void> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => {
    // A client that is gone answers with an ICMP error: not this server's trouble.
    socket.send(answer(message.toString('utf8'), identity, from.address), from.port, from.address, () => undefined);
  });
  socket.bind(port, address);
  await once(socket, 'listening');
  socket.on('error', () => undefined);
  return () => socket.close();
}

/**
 * Answers every line (TCP) or datagram (UDP) with its identity and the client's address, on each address by itself, so
 * that a UDP answer leaves from the address that was asked. Resolves when all listen; the result closes them and resets
 * their connections. Rejects, with nothing listening, when an address is taken.
 */
export async function listenAll(listeners: readonly Listener[]): Promise<() => void> {
  const closers: (() => void)[] = [];
  const closeAll = (): void => {
    for (const close of closers.splice(0)) close();
  };
  try {
    for (const listener of listeners) {
      const listen = listener.protocol === 'TCP' ? listenTcp : listenUdp;
      for (const address of listener.addresses) closers.push(await listen(address, listener));
    }
    return closeAll;
  } catch (error) {
    closeAll();
    throw error;
  }
}

import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';
import type { Destination, Reply } from './messages.ts';
import { AnswerTimeout, closedEarly } from './outcome.ts';

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

interface Wire {
  send(text: string): void;
  close(): void;
}

/** Questions and answers over one TCP connection or one UDP port. After a failure every `ask` rejects with it. */
export class Conversation {
  readonly #waiting = new Map<number, Waiting>();
  #wire: Wire | undefined;
  #failure: Error | undefined;
  #nextId = 1;

  attach(wire: Wire): void {
    this.#wire = wire;
  }

  /** Sends one question. Rejects with `AnswerTimeout`, or with the error that ended the conversation. */
  ask(timeoutMs: number): Promise<Reply> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      const timer = setTimeout(() => settle(reject, new AnswerTimeout(`no answer for ${timeoutMs} ms`)), timeoutMs);
      const settle = <T>(callback: (value: T) => void, value: T): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        callback(value);
      };
      this.#waiting.set(id, {
        resolve: (reply) => settle(resolve, reply),
        reject: (error) => settle(reject, error),
      });
      this.#wire?.send(`${id}\n`);
    });
  }

  receive(line: string): void {
    const reply = JSON.parse(line) as Reply;
    this.#waiting.get(reply.id)?.resolve(reply);
  }

  fail(error: Error): void {
    this.#failure ??= error;
    for (const waiting of [...this.#waiting.values()]) waiting.reject(this.#failure);
  }

  close(): void {
    this.#failure ??= closedEarly();
    this.#wire?.close();
  }
}

/** A TCP connection to `to`. Data waits in the socket until it is established, so the first answer proves both. */
function openTcp(to: Destination): Conversation {
  const conversation = new Conversation();
  const socket = connect({
    host: to.address,
    port: to.port,
    ...(to.sourceAddress === undefined ? {} : { localAddress: to.sourceAddress }),
    ...(to.sourcePort === undefined ? {} : { localPort: to.sourcePort }),
  });
  socket.setNoDelay(true);
  socket.on('error', (error) => conversation.fail(error));
  socket.on('close', () => conversation.fail(closedEarly()));
  createInterface(socket)
    .on('line', (line) => conversation.receive(line))
    // readline repeats the socket's errors, which are handled above.
    .on('error', () => undefined);
  conversation.attach({ send: (text) => void socket.write(text), close: () => void socket.destroy() });
  return conversation;
}

/** A connected UDP port towards `to`: only a connected socket hears of ICMP errors. */
function openUdp(to: Destination): Conversation {
  const conversation = new Conversation();
  const socket = createSocket(isIPv6(to.address) ? 'udp6' : 'udp4');
  let isConnected = false;
  let isClosed = false;
  const queue: string[] = [];
  const send = (text: string): void => {
    if (!isConnected) queue.push(text);
    else socket.send(text, (error) => error !== null && conversation.fail(error));
  };
  socket.on('error', (error) => conversation.fail(error));
  socket.on('message', (message) => conversation.receive(message.toString('utf8')));
  socket.on('connect', () => {
    isConnected = true;
    queue.splice(0).forEach(send);
  });
  socket.bind(to.sourcePort ?? 0, to.sourceAddress, () => {
    if (!isClosed) socket.connect(to.port, to.address);
  });
  conversation.attach({
    send,
    close: () => {
      if (!isClosed) socket.close();
      isClosed = true;
    },
  });
  return conversation;
}

/** Begins a conversation; that nobody is there shows in the first `ask`. The caller closes it. */
export function converse(to: Destination): Conversation {
  return to.protocol === 'TCP' ? openTcp(to) : openUdp(to);
}

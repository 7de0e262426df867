import { setImmediate as nextTurn } from 'node:timers/promises';
import { KernelError } from '../error.ts';
import { AttributeWriter } from './attributes.ts';
import type { Answer, Message } from './message.ts';
import {
  beginMessage,
  endMessage,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseAnswer,
  splitMessages,
} from './message.ts';
import { NetlinkSocket } from './socket.ts';

/** One message to send: `write` adds what follows the netlink header. */
export interface Request {
  /** What it does to what, for errors: `list elements of` / `map frontends`. */
  readonly operation: string;
  readonly object: string;
  readonly type: number;
  readonly flags?: number;
  write(writer: AttributeWriter): void;
}

/** A dump that others keep changing under us is taken again this often. */
const DUMP_ATTEMPTS = 10;
/** Our word for no answer: no request of ours is refused with it. */
const UNANSWERED = 'ENODATA';
/** Datagrams (32 KiB each) read before other work gets its turn. */
const DATAGRAMS_PER_TURN = 16;

/**
 * Requests and answers over one socket, one exchange at a time: calls queue up behind each other. The kernel handles a
 * netlink message while it is being sent, so there is never an answer to wait for.
 */
export class NetlinkConnection {
  readonly #socket: NetlinkSocket;
  #sequence = 1;
  #last: Promise<unknown> = Promise.resolve();

  constructor(protocol: number, netnsPath?: string) {
    this.#socket = new NetlinkSocket(protocol, netnsPath);
  }

  /** Sends one message and returns the messages it was answered with. Throws `KernelError` when the kernel refuses. */
  request(request: Request): Promise<readonly Message[]> {
    return this.#exclusively(async () => {
      const sequence = this.reserveSequences(1);
      const { answers, messages } = await this.#exchange(encode(request, NLM_F_ACK, sequence));
      throwIfRefused(request, answers.find((answer) => answer.sequence === sequence) ?? unanswered(sequence));
      return messages;
    });
  }

  /**
   * Lists what `request` asks for; `read` turns each message's payload into a value. Starts over when the kernel says
   * that the list changed while it was read; throws a retryable `KernelError` (EINTR) when it never holds still.
   */
  dump<T>(request: Request, read: (payload: Buffer) => T): Promise<T[]> {
    return this.#exclusively(async () => {
      for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt += 1) {
        const result = await this.#dumpOnce(request, read);
        if (result !== undefined) return result;
      }
      throw failure(request, { sequence: 0, errno: 'EINTR', detail: `changed during ${DUMP_ATTEMPTS} reads` });
    });
  }

  async #dumpOnce<T>(request: Request, read: (payload: Buffer) => T): Promise<T[] | undefined> {
    const sequence = this.reserveSequences(1);
    this.#drain();
    await this.#socket.send(encode(request, NLM_F_DUMP, sequence));
    const values: T[] = [];
    let wasInterrupted = false;
    for (let datagrams = 1; ; datagrams += 1) {
      const datagram = this.#socket.receive();
      if (datagram === undefined) throw failure(request, unanswered(sequence));
      for (const message of splitMessages(datagram)) {
        if (message.sequence !== sequence) continue;
        wasInterrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          throwIfRefused(request, parseAnswer(message));
          return wasInterrupted ? undefined : values;
        }
        values.push(read(message.payload));
      }
      if (datagrams % DATAGRAMS_PER_TURN === 0) await nextTurn();
    }
  }

  /** Sends a datagram of several messages and returns every answer. For transactions, which see to their own errors. */
  exchange(datagram: Uint8Array): Promise<readonly Answer[]> {
    return this.#exclusively(async () => (await this.#exchange(datagram)).answers);
  }

  async #exchange(datagram: Uint8Array): Promise<{ answers: Answer[]; messages: Message[] }> {
    this.#drain();
    await this.#socket.send(datagram);
    const answers: Answer[] = [];
    const messages: Message[] = [];
    for (let received = this.#socket.receive(); received !== undefined; received = this.#socket.receive()) {
      for (const message of splitMessages(Buffer.from(received))) {
        if (message.type === NLMSG_ERROR) answers.push(parseAnswer(message));
        else messages.push(message);
      }
    }
    return { answers, messages };
  }

  /** Sequence numbers tell answers apart; takes `count` of them and returns the first. */
  reserveSequences(count: number): number {
    if (this.#sequence + count > 0xffffffff) this.#sequence = 1;
    const first = this.#sequence;
    this.#sequence += count;
    return first;
  }

  /** Throws away what an exchange that failed half way left in the queue. */
  #drain(): void {
    for (;;) {
      try {
        if (this.#socket.receive() === undefined) return;
      } catch (error) {
        if (!(error instanceof KernelError) || error.errno !== 'ENOBUFS') throw error;
      }
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  close(): void {
    this.#socket.close();
  }
}

function encode(request: Request, flags: number, sequence: number): Buffer {
  const writer = new AttributeWriter(512);
  const start = beginMessage(writer, request.type, (request.flags ?? 0) | NLM_F_REQUEST | flags, sequence);
  request.write(writer);
  endMessage(writer, start);
  return writer.bytes();
}

function unanswered(sequence: number): Answer {
  return { sequence, errno: UNANSWERED, detail: 'the kernel did not answer' };
}

/** The kernel took the request and said nothing: what it began may be done or not. Asking again tells. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof KernelError && error.errno === UNANSWERED;
}

const RETRYABLE = new Set(['EINTR', 'EAGAIN', 'ERESTART', 'EBUSY', 'ENOBUFS', UNANSWERED]);

/** The error that `answer` is to `request`. */
export function failure(request: Pick<Request, 'operation' | 'object'>, answer: Answer): KernelError {
  const { operation, object } = request;
  const { errno, detail } = answer;
  return new KernelError({ operation, object, errno, detail, retryable: RETRYABLE.has(errno ?? '') });
}

function throwIfRefused(request: Request, answer: Answer): void {
  if (answer.errno !== undefined) throw failure(request, answer);
}

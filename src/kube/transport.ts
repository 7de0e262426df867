import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpsRequest, Agent as HttpsAgent } from 'node:https';
import type { KubeConfig } from './kubeconfig.ts';
import { KEEP_ALIVE_IDLE_MS } from './watch-time.ts';
import { request as httpRequest, Agent as HttpAgent } from '../support/http.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 30_000;

export interface HttpCall {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** To do it twice is to do it once. */
  readonly isIdempotent: boolean;
}

/**
 * HTTP/1.1 over connections that are kept, one request on each at a time; one whose other end is gone breaks. Node's own client: another one would cost every
 * node 10 MB.
 */
export class Transport {
  readonly #server: URL;
  readonly #agent: InstanceType<typeof HttpAgent>;

  constructor({ server, ...config }: KubeConfig, keepAliveMsecs = KEEP_ALIVE_IDLE_MS) {
    this.#server = new URL(server);
    const kept = { keepAlive: true, keepAliveMsecs };
    this.#agent =
      this.#server.protocol === 'http:'
        ? new HttpAgent(kept)
        : new HttpsAgent({
            ...kept,
            rejectUnauthorized: !config.insecureSkipTlsVerify,
            ...(config.ca === undefined ? {} : { ca: config.ca }),
            ...(config.clientCertificate === undefined ? {} : { cert: config.clientCertificate }),
            ...(config.clientKey === undefined ? {} : { key: config.clientKey }),
            ...(config.tlsServerName === undefined ? {} : { servername: config.tlsServerName }),
          });
  }

  /**
   * Resolves with the answer's head. Rejects when there is no connection in 10 seconds, or no answer in 30. A server may close a
   * kept connection just when it is used again: what is idempotent is sent on another one then.
   */
  send(call: HttpCall): Promise<IncomingMessage> {
    const { method, path, headers, body, signal } = call;
    return new Promise((resolve, reject) => {
      const send = this.#server.protocol === 'http:' ? httpRequest : httpsRequest;
      const prefix = this.#server.pathname.replace(/\/+$/, '');
      const request = send(this.#server, {
        method,
        path: prefix + path,
        headers: body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) },
        agent: this.#agent,
        ...(signal === undefined ? {} : { signal }),
      });
      const stop = limitWait(request);
      let isAnswered = false;
      request.on('error', (error: NodeJS.ErrnoException) => {
        stop();
        const wasClosed = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        // A watch that breaks off was answered: its reader hears of it.
        if (wasClosed && call.isIdempotent && !isAnswered) resolve(this.send(call));
        else reject(error);
      });
      request.on('response', (response) => {
        stop();
        isAnswered = true;
        // An answer that breaks when nobody reads it any more is nobody's trouble.
        response.on('error', () => undefined);
        resolve(response);
      });
      request.end(body);
    });
  }

  /** Breaks off what is under way. */
  close(): void {
    this.#agent.destroy();
  }
}

function limitWait(request: ClientRequest): () => void {
  const fail = (what: string, afterMs: number) =>
    setTimeout(() => request.destroy(new Error(`${what} within ${afterMs / 1_000} seconds`)), afterMs);
  const answer = fail('no answer', ANSWER_TIMEOUT_MS);
  let connect: NodeJS.Timeout | undefined;
  request.on('socket', (socket) => {
    if (!socket.connecting) return;
    connect = fail('no connection', CONNECT_TIMEOUT_MS);
    const established = () => clearTimeout(connect);
    socket.once('secureConnect', established).once('connect', () => {
      if (!('encrypted' in socket)) established();
    });
  });
  return () => {
    clearTimeout(answer);
    clearTimeout(connect);
  };
}

/**
 * The chunks of an answer as text. Throws when it is cut off, and when nothing comes for `silenceMs`; breaking off the
 * loop closes the connection.
 */
export async function* readText(response: IncomingMessage, silenceMs: number): AsyncGenerator<string, void> {
  const silence = setTimeout(
    () => response.destroy(new Error(`nothing came for ${silenceMs / 1_000} seconds`)),
    silenceMs,
  );
  try {
    response.setEncoding('utf8');
    for await (const chunk of response as AsyncIterable<string>) {
      silence.refresh();
      yield chunk;
    }
  } finally {
    clearTimeout(silence);
    if (!response.complete) response.destroy();
  }
}

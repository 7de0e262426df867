import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { ServerCertificate } from '../certificates.ts';
import { StatusError } from '../status-error.ts';
import { failureReply, type ApiHandler } from './api-handler.ts';
import { readBody } from './body.ts';
import type { ApiRequest } from './message.ts';
import { sendReply } from './send.ts';

export type ListenTarget = { readonly host: string; readonly port: number } | { readonly fd: number };

/** One HTTPS socket, HTTP/1.1 and HTTP/2, that hands requests to the handler. */
export class Listener {
  readonly #server: Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly #handler: ApiHandler;

  private constructor(handler: ApiHandler, certificate: ServerCertificate) {
    this.#handler = handler;
    this.#server = createSecureServer({ key: certificate.keyPem, cert: certificate.certPem, allowHTTP1: true });
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    // A client that gives up during the handshake or a request is its own business.
    this.#server.on('tlsClientError', () => undefined);
    this.#server.on('sessionError', () => undefined);
    this.#server.on('request', (request, response) => void this.#onRequest(request, response));
  }

  /** Resolves once connections are accepted; rejects with the system's error when they cannot be. */
  static async open(handler: ApiHandler, certificate: ServerCertificate, target: ListenTarget): Promise<Listener> {
    const listener = new Listener(handler, certificate);
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', reject);
      listener.#server.listen(target, () => {
        listener.#server.off('error', reject);
        resolve();
      });
    });
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Stops listening and cuts every connection, watches included. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #onRequest(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    try {
      const { head, access } = describe(request);
      const body = await readBody(request);
      sendReply(response, this.#handler.handle({ ...head, body }, access), head.method === 'HEAD');
    } catch (error) {
      // A request that was cut off has nobody left to answer to.
      if (error instanceof StatusError) sendReply(response, failureReply(error), false);
      else response.stream?.destroy();
    }
  }
}

function describe(request: Http2ServerRequest): {
  head: Omit<ApiRequest, 'user' | 'body'>;
  access: { authorization: string | undefined; host: string };
} {
  const { headers } = request;
  const url = new URL(request.url, 'https://embedded');
  return {
    head: {
      method: request.method,
      path: url.pathname,
      query: url.searchParams,
      accept: headers.accept ?? '',
      contentType: headers['content-type'] ?? '',
      userAgent: headers['user-agent'] ?? '',
    },
    access: { authorization: headers.authorization, host: request.authority || (headers.host ?? '') },
  };
}

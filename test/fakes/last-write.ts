import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { makeServerCertificate } from '../../src/sandbox/apiserver/certificates.ts';
import type { EmbeddedApiServer } from '../../src/sandbox/apiserver/api-server.ts';

/** When a client is cut off for ever: once its write has been done, or before it is. */
export type CutMoment = 'after' | 'before';

export interface Cut {
  readonly moment: CutMoment;
  /** Whether it is this write, counted from 1 among those that the API server took. */
  readonly isAt: (count: number, method: string, path: string) => boolean;
}

/**
 * Stands before an API server for one client, and cuts it off at one exact write: nothing that it asks for later is heard,
 * and it never learns what became of that one.
 */
export class LastWrite {
  readonly #server: Server;
  readonly #upstream: URL;
  readonly #agent: Agent;
  readonly #cut: Cut;
  readonly #happened = Promise.withResolvers<void>();
  #count = 0;
  readonly caPem: string;
  readonly url: string;

  private constructor(upstream: EmbeddedApiServer, server: Server, caPem: string, cut: Cut) {
    this.#upstream = new URL(upstream.url);
    this.#agent = new Agent({ ca: upstream.caPem, keepAlive: true });
    this.#server = server;
    this.#cut = cut;
    this.caPem = caPem;
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async before(upstream: EmbeddedApiServer, cut: Cut): Promise<LastWrite> {
    const { caPem, certPem, keyPem } = await makeServerCertificate(['127.0.0.1'], new Date());
    const server = createServer({ cert: certPem, key: keyPem }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const relay = new LastWrite(upstream, server, caPem, cut);
    server.on('request', (incoming, response) => {
      relay.#serve(incoming, response).catch(() => response.destroy());
    });
    return relay;
  }

  /** Resolves when the client was cut off. */
  get happened(): Promise<void> {
    return this.#happened.promise;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  #end(): void {
    this.close();
    this.#happened.resolve();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '', method = 'GET' } = incoming;
    const body = await text(incoming);
    const isWrite = method !== 'GET';
    const isNext = isWrite && this.#cut.isAt(this.#count + 1, method, url);
    if (isNext && this.#cut.moment === 'before') return this.#end();
    const answer = await this.#pass(incoming, body, response);
    if (isWrite && (answer.statusCode ?? 500) < 400) {
      this.#count += 1;
      if (isNext) return this.#end();
    }
    response.writeHead(answer.statusCode ?? 500, { 'content-type': answer.headers['content-type'] ?? '' });
    response.flushHeaders();
    await pipeline(answer, response);
  }

  async #pass(incoming: IncomingMessage, body: string, client: ServerResponse): Promise<IncomingMessage> {
    const { host: _host, 'content-length': _length, connection: _connection, ...kept } = incoming.headers;
    const { hostname, port } = this.#upstream;
    const headers = { ...kept, ...(body === '' ? {} : { 'content-length': Buffer.byteLength(body) }) };
    const { method, url: path } = incoming;
    const passed = request({ hostname, port, path, method, headers, agent: this.#agent });
    client.on('close', () => passed.destroy());
    passed.end(body === '' ? undefined : body);
    const [answer] = (await once(passed, 'response')) as [IncomingMessage];
    passed.on('error', () => undefined);
    return answer;
  }
}

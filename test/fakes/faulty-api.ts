import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { makeServerCertificate } from '../../src/sandbox/apiserver/certificates.ts';
import type { EmbeddedApiServer } from '../../src/sandbox/apiserver/api-server.ts';

const MAX_DELAY_MS = 150;
const LEASES = 'coordination.k8s.io';

interface Refusal {
  readonly code: number;
  readonly reason: string;
}

const REFUSALS: readonly Refusal[] = [
  { code: 409, reason: 'Conflict' },
  { code: 410, reason: 'Expired' },
  { code: 429, reason: 'TooManyRequests' },
  { code: 500, reason: 'InternalError' },
  { code: 503, reason: 'ServiceUnavailable' },
  { code: 504, reason: 'Timeout' },
];

function statusOf({ code, reason }: Refusal) {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: 'injected', reason, code };
}

/**
 * Stands before an API server and makes it a bad one: refuses, loses requests and answers, is late, says things twice, cuts
 * watches or ends them with 410, and answers lists with old ones. Leases are spared, so that somebody leads.
 */
export class FaultyApi {
  readonly #upstream: URL;
  readonly #server: Server;
  readonly #agent: Agent;
  readonly #random: () => number;
  readonly #lists = new Map<string, string>();
  /** Asked again, a server that was behind is not. */
  #wasStale = false;
  readonly port: number;
  readonly caPem: string;
  /** How many of a hundred requests and events have a fault. */
  percent = 0;
  faults = 0;

  private constructor(upstream: EmbeddedApiServer, server: Server, caPem: string, random: () => number) {
    this.#upstream = new URL(upstream.url);
    this.#agent = new Agent({ ca: upstream.caPem, keepAlive: true });
    this.#server = server;
    this.#random = random;
    this.caPem = caPem;
    this.port = (server.address() as AddressInfo).port;
  }

  static async before(upstream: EmbeddedApiServer, random: () => number): Promise<FaultyApi> {
    const { caPem, certPem, keyPem } = await makeServerCertificate(['127.0.0.1'], new Date());
    const server = createServer({ cert: certPem, key: keyPem }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const api = new FaultyApi(upstream, server, caPem, random);
    server.on('request', (incoming, response) => {
      api.#serve(incoming, response).catch(() => response.destroy());
    });
    return api;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    this.#agent.destroy();
  }

  #hits(weight = 1): boolean {
    const isHit = this.#random() * 100 < this.percent * weight;
    if (isHit) this.faults += 1;
    return isHit;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '' } = incoming;
    const body = await textOf(incoming);
    const isSpared = url.includes(LEASES);
    if (!isSpared && (await this.#disturb(url, incoming.method === 'GET', response))) return;
    const answer = await this.#pass(incoming, body, response);
    const isWatch = new URL(url, this.#upstream).searchParams.get('watch') === 'true';
    if (isWatch && answer.statusCode === 200) return this.#passWatch(answer, response, isSpared);
    const text = await textOf(answer);
    if (url.includes('limit=') && answer.statusCode === 200 && this.#random() < 0.3) this.#lists.set(url, text);
    // Done, but nobody hears of it.
    if (!isSpared && this.#hits(0.5)) return void response.destroy();
    response.writeHead(answer.statusCode ?? 500, { 'content-type': 'application/json' }).end(text);
  }

  /** Whether the request has got its answer, or none. */
  async #disturb(url: string, isRead: boolean, response: ServerResponse): Promise<boolean> {
    if (this.#hits()) await delay(this.#random() * MAX_DELAY_MS);
    if (this.#hits(0.5)) {
      response.destroy();
      return true;
    }
    if (this.#hits()) {
      this.#refuse(response);
      return true;
    }
    if (!isRead || !url.includes('limit=')) return false;
    const stale = this.#wasStale ? undefined : this.#lists.get(url);
    this.#wasStale = stale !== undefined && this.#hits(3);
    if (this.#wasStale) response.end(stale);
    return this.#wasStale;
  }

  #refuse(response: ServerResponse): void {
    const refusal = REFUSALS[Math.floor(this.#random() * REFUSALS.length)] ?? { code: 500, reason: 'InternalError' };
    response.writeHead(refusal.code, { 'content-type': 'application/json', 'retry-after': '1' });
    response.end(JSON.stringify(statusOf(refusal)));
  }

  async #pass(
    { method, headers, url }: IncomingMessage,
    body: string,
    client: ServerResponse,
  ): Promise<IncomingMessage> {
    const { host: _host, 'content-length': _length, connection: _connection, ...kept } = headers;
    const { hostname, port } = this.#upstream;
    const length = body === '' ? {} : { 'content-length': Buffer.byteLength(body) };
    const passed = request({
      hostname,
      port,
      path: url,
      method,
      headers: { ...kept, ...length },
      agent: this.#agent,
    });
    client.on('close', () => passed.destroy());
    passed.end(body === '' ? undefined : body);
    const [answer] = (await once(passed, 'response')) as [IncomingMessage];
    answer.on('error', () => undefined);
    passed.on('error', () => undefined);
    return answer;
  }

  async #passWatch(answer: IncomingMessage, response: ServerResponse, isSpared: boolean): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for await (const line of linesOf(answer)) {
      if (!isSpared && this.#hits()) await delay(this.#random() * MAX_DELAY_MS * 4);
      response.write(`${line}\n`);
      if (isSpared) continue;
      if (this.#hits()) response.write(`${line}\n`);
      if (this.#hits(0.3)) return void response.destroy();
      if (this.#hits(0.3)) {
        response.end(`${JSON.stringify({ type: 'ERROR', object: statusOf({ code: 410, reason: 'Expired' }) })}\n`);
        return;
      }
    }
    response.end();
  }
}

/** Until the other end has enough of it. */
async function* linesOf(answer: IncomingMessage): AsyncGenerator<string, void> {
  let rest = '';
  try {
    answer.setEncoding('utf8');
    for await (const chunk of answer as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch {
    // Whoever was asked is gone, or whoever asked.
  }
}

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

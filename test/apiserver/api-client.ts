import { Agent, request } from 'undici';

export type Json = Record<string, unknown>;

/** Something that came over the wire, of which a test reads what it expects to be there. */
export interface Wire {
  readonly [field: string]: Wire | undefined;
}

/** A list out of something that came over the wire; empty when it is none. */
export function listOf(wire: Wire | undefined): Wire[] {
  return Array.isArray(wire) ? (wire as Wire[]) : [];
}

/** A string out of something that came over the wire; empty when it is none. */
export function textOf(wire: Wire | undefined): string {
  return typeof wire === 'string' ? wire : '';
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  /** Empty unless the answer is JSON. */
  readonly body: Wire;
  readonly text: string;
}

export interface Call {
  readonly body?: unknown;
  readonly query?: Record<string, string>;
  readonly accept?: string;
  readonly contentType?: string;
  /** undefined: the client's own; empty: none. */
  readonly token?: string;
}

/** A watch as a test reads it: event by event, each within a deadline. */
export interface Watching {
  readonly status: number;
  /** The next event; undefined at the end of the stream. Rejects when none comes in time. */
  next(): Promise<Wire | undefined>;
  close(): void;
}

const DEADLINE_MS = 10_000;

/** Sends plain requests to an API server, so that tests see exactly what is on the wire. */
export class ApiClient {
  readonly #url: string;
  readonly #token: string;
  readonly #agent: Agent;

  constructor({ url, ca, token }: { url: string; ca: string; token: string }) {
    this.#url = url;
    this.#token = token;
    this.#agent = new Agent({ connect: { ca } });
  }

  async call(method: string, path: string, call: Call = {}): Promise<Answer> {
    const response = await this.#send(method, path, call);
    const text = await response.body.text();
    const isJson = String(response.headers['content-type']).startsWith('application/json');
    return {
      status: response.statusCode,
      headers: response.headers,
      body: isJson && text !== '' ? (JSON.parse(text) as Wire) : {},
      text,
    };
  }

  get(path: string, query: Record<string, string> = {}): Promise<Answer> {
    return this.call('GET', path, { query });
  }

  create(path: string, body: Json, query: Record<string, string> = {}): Promise<Answer> {
    return this.call('POST', path, { body, query });
  }

  put(path: string, body: Json, query: Record<string, string> = {}): Promise<Answer> {
    return this.call('PUT', path, { body, query });
  }

  delete(path: string, body?: Json): Promise<Answer> {
    return this.call('DELETE', path, body ? { body } : {});
  }

  patch(path: string, type: string, body: unknown, query: Record<string, string> = {}): Promise<Answer> {
    return this.call('PATCH', path, { body, query, contentType: `application/${type}` });
  }

  async watch(path: string, query: Record<string, string> = {}, accept?: string): Promise<Watching> {
    const call = { query: { watch: 'true', ...query }, ...(accept === undefined ? {} : { accept }) };
    const response = await this.#send('GET', path, call);
    const lines = readLines(response.body);
    return {
      status: response.statusCode,
      async next() {
        const timeout = AbortSignal.timeout(DEADLINE_MS);
        const late = new Promise<never>((_, reject) => {
          timeout.addEventListener('abort', () => reject(new Error('no watch event came in time')));
        });
        const { value, done } = await Promise.race([lines.next(), late]);
        return done ? undefined : (JSON.parse(value) as Wire);
      },
      close: () => response.body.destroy(),
    };
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  #send(method: string, path: string, { body, query = {}, accept, contentType, token }: Call) {
    const bearer = token ?? this.#token;
    const headers: Record<string, string> = {
      accept: accept ?? 'application/json',
      'user-agent': 'suite/1.0',
      ...(bearer === '' ? {} : { authorization: `Bearer ${bearer}` }),
      ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
    };
    const search = new URLSearchParams(query).toString();
    return request(`${this.#url}${path}${search === '' ? '' : `?${search}`}`, {
      method: method as 'GET',
      dispatcher: this.#agent,
      headers,
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    });
  }
}

async function* readLines(stream: AsyncIterable<Buffer>): AsyncGenerator<string, undefined> {
  let rest = '';
  try {
    for await (const chunk of stream) {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      yield* parts.filter((part) => part !== '');
    }
  } catch {
    // Closed by the test itself.
  }
  return undefined;
}

import { readFileSync } from 'node:fs';
import { Agent, request, type Dispatcher } from 'undici';
import { ApiError, type StatusBody } from './error.ts';
import type { KubeConfig } from './kubeconfig.ts';

const REQUEST_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** The API server sends a bookmark about once a minute; silence for longer than this means the connection is dead. */
const WATCH_SILENCE_MS = 120_000;
const TOKEN_MAX_AGE_MS = 60_000;

export type Query = Readonly<Record<string, string>>;

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: Record<string, unknown>;
}

/**
 * The few requests an agent makes, without the 100 MB that the general client costs. Every method throws ApiError; none
 * retries by itself.
 */
export class KubeClient {
  readonly server: string;
  readonly #config: KubeConfig;
  readonly #dispatcher: Agent;
  #token: string | undefined;
  #tokenReadAt = 0;

  constructor(config: KubeConfig) {
    this.server = config.server;
    this.#config = config;
    this.#token = config.token;
    this.#dispatcher = new Agent({
      // One connection a watch: with HTTP/2, undici 8 throws an error that nobody can catch when a connection that had an
      // aborted stream is closed.
      allowH2: false,
      connect: {
        timeout: CONNECT_TIMEOUT_MS,
        rejectUnauthorized: !config.insecureSkipTlsVerify,
        ...(config.ca === undefined ? {} : { ca: config.ca }),
        ...(config.clientCertificate === undefined ? {} : { cert: config.clientCertificate }),
        ...(config.clientKey === undefined ? {} : { key: config.clientKey }),
        ...(config.tlsServerName === undefined ? {} : { servername: config.tlsServerName }),
      },
    });
  }

  async get(path: string, query: Query = {}, signal?: AbortSignal): Promise<Record<string, unknown>> {
    return this.#json({ method: 'GET', path, query, signal });
  }

  async create(path: string, body: unknown, signal?: AbortSignal): Promise<Record<string, unknown>> {
    return this.#json({ method: 'POST', path, body, contentType: 'application/json', signal });
  }

  /** Server-side apply as `fieldManager`, taking over fields that others own. Idempotent. */
  async apply(
    path: string,
    body: unknown,
    fieldManager: string,
    signal?: AbortSignal,
  ): Promise<Record<string, unknown>> {
    const query = { fieldManager, force: 'true' };
    return this.#json({ method: 'PATCH', path, query, body, contentType: 'application/apply-patch+yaml', signal });
  }

  /** The events of a watch in order, until the server ends it. Breaking off the loop closes the connection. */
  async *watch(path: string, query: Query, signal: AbortSignal): AsyncGenerator<WatchEvent, void> {
    const call = { method: 'GET', path, query: { ...query, watch: 'true' }, signal } as const;
    const response = await this.#send(call, WATCH_SILENCE_MS);
    let rest = '';
    try {
      response.body.setEncoding('utf8');
      for await (const chunk of response.body as AsyncIterable<string>) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line !== '') yield JSON.parse(line) as WatchEvent;
      }
    } catch (error) {
      if (signal.aborted) return;
      throw noAnswer(call, error);
    } finally {
      response.body.destroy();
    }
  }

  /** Ends once what is under way has ended; abort watches first. */
  async close(): Promise<void> {
    await this.#dispatcher.close();
  }

  async #json(call: Call): Promise<Record<string, unknown>> {
    const response = await this.#send(call, REQUEST_TIMEOUT_MS);
    try {
      return (await response.body.json()) as Record<string, unknown>;
    } catch (error) {
      throw noAnswer(call, error);
    }
  }

  async #send(call: Call, bodyTimeout: number): Promise<Dispatcher.ResponseData> {
    let response: Dispatcher.ResponseData;
    try {
      response = await request(`${this.server}${call.path}`, {
        dispatcher: this.#dispatcher,
        method: call.method,
        headersTimeout: REQUEST_TIMEOUT_MS,
        bodyTimeout,
        headers: this.#headers(call),
        query: call.query ?? {},
        body: call.body === undefined ? null : JSON.stringify(call.body),
        signal: call.signal ?? null,
      });
    } catch (error) {
      throw noAnswer(call, error);
    }
    // Closing the client breaks a body even when nobody reads it any more.
    response.body.on('error', () => undefined);
    if (response.statusCode >= 400) {
      const text = await response.body.text().catch(() => '');
      throw new ApiError(call.method, call.path, response.statusCode, parseStatus(text));
    }
    return response;
  }

  #headers(call: Call): Record<string, string> {
    const token = this.#currentToken();
    return {
      accept: 'application/json',
      'user-agent': 'switchyard-agent',
      ...(call.contentType === undefined ? {} : { 'content-type': call.contentType }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
  }

  #currentToken(): string | undefined {
    const { tokenFile } = this.#config;
    const now = performance.now();
    if (tokenFile !== undefined && (this.#token === undefined || now - this.#tokenReadAt > TOKEN_MAX_AGE_MS)) {
      try {
        this.#token = readFileSync(tokenFile, 'utf8').trim();
        this.#tokenReadAt = now;
      } catch {
        // The file is replaced by rename; a moment without it must not cost us the token that still works.
      }
    }
    return this.#token;
  }
}

interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

function noAnswer(call: Call, error: unknown): ApiError {
  const { message, code } = error as { message?: string; code?: string };
  return new ApiError(call.method, call.path, 0, { message: [message, code].filter(Boolean).join(' ') });
}

function parseStatus(text: string): StatusBody {
  try {
    return JSON.parse(text) as StatusBody;
  } catch {
    return { message: text.slice(0, 200) };
  }
}

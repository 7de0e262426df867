import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { ApiError, type StatusBody } from './error.ts';
import type { KubeConfig } from './kubeconfig.ts';
import { readText, Transport } from './transport.ts';
import type { WatchTime } from './watch-time.ts';

const BODY_SILENCE_MS = 30_000;
const TOKEN_MAX_AGE_MS = 60_000;
const APPLY = 'application/apply-patch+yaml';

export type Query = Readonly<Record<string, string>>;

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: Record<string, unknown>;
}

/** How one request went. */
export interface Answer {
  readonly host: string;
  readonly method: string;
  /** 0 where there was none. */
  readonly status: number;
  readonly seconds: number;
}

/**
 * The few requests an agent makes, without the 100 MB that the general client costs. Every method throws ApiError; none
 * retries by itself, but for what `Transport.send` says of kept connections.
 */
export class KubeClient {
  readonly server: string;
  readonly #config: KubeConfig;
  readonly #transport: Transport;
  readonly #underWay = new Set<Promise<unknown>>();
  #token: string | undefined;
  #tokenReadAt = 0;
  #onAnswer: (answer: Answer) => void = () => undefined;

  constructor(config: KubeConfig, keepAliveIdleMs?: number) {
    this.server = config.server;
    this.#config = config;
    this.#token = config.token;
    this.#transport = new Transport(config, keepAliveIdleMs);
  }

  /** From now on `onAnswer` hears of every request. */
  observe(onAnswer: (answer: Answer) => void): void {
    this.#onAnswer = onAnswer;
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

  async remove(path: string, signal?: AbortSignal): Promise<Record<string, unknown>> {
    return this.#json({ method: 'DELETE', path, signal });
  }

  /** The events of a watch in order, until the server ends it. Breaking off the loop closes the connection. */
  async *watch(path: string, query: Query, { signal, time, onOpen }: WatchLife): AsyncGenerator<WatchEvent, void> {
    const asked = { ...query, watch: 'true', timeoutSeconds: String(time.timeoutSeconds) };
    const call = { method: 'GET', path, query: asked, signal } as const;
    const response = await this.#send(call);
    onOpen?.();
    let rest = '';
    try {
      for await (const chunk of readText(response, time.silenceMs)) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line !== '') yield JSON.parse(line) as WatchEvent;
      }
    } catch (error) {
      if (signal.aborted) return;
      throw noAnswer(call, error);
    }
  }

  /** Ends once what is under way has ended; abort watches first. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    this.#transport.close();
  }

  #json(call: Call): Promise<Record<string, unknown>> {
    const answer = this.#readJson(call);
    this.#underWay.add(answer);
    const forget = () => void this.#underWay.delete(answer);
    answer.then(forget, forget);
    return answer;
  }

  async #readJson(call: Call): Promise<Record<string, unknown>> {
    const response = await this.#send(call);
    try {
      return JSON.parse(await textOf(response)) as Record<string, unknown>;
    } catch (error) {
      throw noAnswer(call, error);
    }
  }

  /** The answer's head; its body is to be read. Throws ApiError for a refusal. */
  async #send(call: Call): Promise<IncomingMessage> {
    const query = new URLSearchParams(call.query).toString();
    const startedMs = performance.now();
    const tell = (status: number) => {
      const seconds = (performance.now() - startedMs) / 1_000;
      this.#onAnswer({ host: new URL(this.server).host, method: call.method, status, seconds });
    };
    let response: IncomingMessage;
    try {
      response = await this.#transport.send({
        method: call.method,
        path: query === '' ? call.path : `${call.path}?${query}`,
        headers: this.#headers(call),
        body: call.body === undefined ? undefined : JSON.stringify(call.body),
        signal: call.signal,
        isIdempotent: call.method === 'GET' || call.contentType === APPLY,
      });
    } catch (error) {
      tell(0);
      throw noAnswer(call, error);
    }
    const status = response.statusCode ?? 0;
    tell(status);
    if (status < 400) return response;
    const text = await textOf(response).catch(() => '');
    throw new ApiError(call.method, call.path, status, parseStatus(text));
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

export interface WatchLife {
  readonly signal: AbortSignal;
  readonly time: WatchTime;
  /** The server has taken the watch; its first event may be long in coming. */
  readonly onOpen?: () => void;
}

interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: string[] = [];
  for await (const chunk of readText(response, BODY_SILENCE_MS)) chunks.push(chunk);
  return chunks.join('');
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

import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest, type RequestOptions as HttpsOptions } from 'node:https';
import { ApiError, type StatusBody } from '../../kube/error.ts';
import { readText } from '../../kube/transport.ts';
import { newWatchTime } from '../../kube/watch-time.ts';
import { chooseAccess, type ClusterAccess } from './cluster-access.ts';
import type { ClusterFlags } from './flags.ts';
import { request as httpRequest } from '../../support/http.ts';

const PAGE = '500';
const LONGEST_MS = 2_147_483_647;

export type Query = Readonly<Record<string, string>>;

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

interface Call {
  readonly method: 'GET' | 'PATCH' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/**
 * Requests of a person, with every way to authenticate that a kubeconfig knows. Every method throws `ApiError`; none
 * tries again by itself.
 */
export class ClusterApi {
  readonly #access: ClusterAccess;
  readonly #timeoutMs: number;
  /** Of the flags, else of the context, else `default`. */
  readonly namespace: string;
  readonly server: string;

  private constructor(access: ClusterAccess, flags: ClusterFlags) {
    this.#access = access;
    // As of kubectl, no time is any time; timers take no more than 24 days.
    this.#timeoutMs = flags.requestTimeout === 0 ? LONGEST_MS : Math.min(flags.requestTimeout * 1_000, LONGEST_MS);
    this.namespace = flags.namespace ?? access.namespace ?? 'default';
    this.server = access.server;
  }

  /** Throws `UserError` when the flags and the kubeconfig lead to no API server. */
  static connect(flags: ClusterFlags): ClusterApi {
    return new ClusterApi(chooseAccess(flags), flags);
  }

  async get<T>(path: string, query: Query = {}): Promise<T> {
    return this.#json<T>({ method: 'GET', path, query });
  }

  /** All objects of a collection, read in pages. */
  async list<T>(path: string, query: Query = {}): Promise<T[]> {
    const items: T[] = [];
    let page: Query = { ...query, limit: PAGE };
    for (;;) {
      const list = await this.get<{ items?: T[]; metadata?: { continue?: string } }>(path, page);
      items.push(...(list.items ?? []));
      const next = list.metadata?.continue;
      if (next === undefined || next === '') return items;
      page = { ...query, limit: PAGE, continue: next };
    }
  }

  /** RFC 7386 merge patch, in the name of `kubectl-switchyard`. */
  async patch<T>(path: string, body: unknown, query: Query = {}): Promise<T> {
    return this.#json<T>({
      method: 'PATCH',
      path,
      query: { fieldManager: 'kubectl-switchyard', ...query },
      body,
      contentType: 'application/merge-patch+json',
    });
  }

  async create<T>(path: string, body: unknown): Promise<T> {
    return this.#json<T>({ method: 'POST', path, body, contentType: 'application/json' });
  }

  /** The events of a watch in order, until the server ends it or `signal` aborts. */
  async *watch<T>(path: string, query: Query, signal: AbortSignal): AsyncGenerator<WatchEvent<T>, void> {
    const time = newWatchTime();
    const asked = { ...query, watch: 'true', timeoutSeconds: String(time.timeoutSeconds) };
    const call: Call = { method: 'GET', path, query: asked, signal };
    let rest = '';
    try {
      const response = await this.#send(call);
      for await (const chunk of readText(response, time.silenceMs)) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line !== '') yield JSON.parse(line) as WatchEvent<T>;
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof ApiError ? error : noAnswer(call, error);
    }
  }

  async #json<T>(call: Call): Promise<T> {
    const response = await this.#send({ ...call, timeoutMs: this.#timeoutMs });
    try {
      return JSON.parse(await textOf(response, this.#timeoutMs)) as T;
    } catch (error) {
      throw noAnswer(call, error);
    }
  }

  async #send(call: Call): Promise<IncomingMessage> {
    const { request, options } = await this.#options(call);
    const response = await send(request, options, call).catch((error: unknown) => {
      throw noAnswer(call, error);
    });
    const status = response.statusCode ?? 0;
    if (status < 400) return response;
    const text = await textOf(response, 10_000).catch(() => '');
    throw new ApiError(call.method, call.path, status, parseStatus(text));
  }

  async #options({ method, path, query = {}, body, contentType, signal }: Call) {
    const url = new URL(this.server);
    const isPlain = url.protocol === 'http:';
    // No token goes over an open line; without TLS only the local proxy of kubectl is of use.
    const options: HttpsOptions = isPlain ? {} : await this.#access.options();
    const search = new URLSearchParams(query).toString();
    const headers = {
      accept: 'application/json',
      'user-agent': 'kubectl-switchyard',
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(JSON.stringify(body)) }),
      ...(options.headers as Record<string, string> | undefined),
    };
    const where: RequestOptions = {
      ...options,
      method,
      headers,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (isPlain ? 80 : 443) : url.port,
      path: `${url.pathname.replace(/\/+$/, '')}${path}${search === '' ? '' : `?${search}`}`,
      ...(signal === undefined ? {} : { signal }),
    };
    return { request: isPlain ? httpRequest : httpsRequest, options: where };
  }
}

function send(
  request: typeof httpRequest,
  options: RequestOptions,
  { body, timeoutMs }: Call,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(options);
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs / 1_000} seconds`)), timeoutMs);
    sent.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    sent.on('response', (response) => {
      clearTimeout(timer);
      response.on('error', () => undefined);
      resolve(response);
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function textOf(response: IncomingMessage, silenceMs: number): Promise<string> {
  const chunks: string[] = [];
  for await (const chunk of readText(response, silenceMs)) chunks.push(chunk);
  return chunks.join('');
}

function noAnswer({ method, path }: Call, error: unknown): ApiError {
  const { message, code } = error as { message?: string; code?: string };
  return new ApiError(method, path, 0, { message: message || code || 'no answer' });
}

function parseStatus(text: string): StatusBody {
  try {
    return JSON.parse(text) as StatusBody;
  } catch {
    return { message: text.slice(0, 200) };
  }
}

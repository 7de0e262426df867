import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest, type RequestOptions as HttpsOptions } from 'node:https';
// Of the client only this: the rest of it takes a quarter of a second to load, and a person waits.
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { ApiError, type StatusBody } from '../../kube/error.ts';
import { readText } from '../../kube/transport.ts';
import { newWatchTime } from '../../kube/watch-time.ts';
import { UserError } from '../../support/errors.ts';
import { EXIT } from './exit-code.ts';
import type { ClusterFlags } from './flags.ts';

const PAGE = '500';

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
  readonly #config: KubeConfig;
  readonly #timeoutMs: number;
  /** Of the flags, else of the context, else `default`. */
  readonly namespace: string;
  readonly server: string;

  private constructor(config: KubeConfig, flags: ClusterFlags) {
    this.#config = config;
    this.#timeoutMs = flags.requestTimeout * 1_000;
    const context = config.getContextObject(config.getCurrentContext());
    this.namespace = flags.namespace ?? context?.namespace ?? 'default';
    this.server = (config.getCurrentCluster()?.server ?? '').replace(/\/+$/, '');
  }

  /** Throws `UserError` when the flags and the kubeconfig lead to no API server. */
  static connect(flags: ClusterFlags): ClusterApi {
    const config = new KubeConfig();
    try {
      if (flags.kubeconfig === undefined) config.loadFromDefault();
      else config.loadFromFile(flags.kubeconfig);
    } catch (error) {
      const from = flags.kubeconfig ?? 'the default place';
      const [problem = ''] = (error as Error).message.split('\n');
      throw new UserError(`cannot read a kubeconfig from ${from}: ${problem}; give a readable one with --kubeconfig`);
    }
    chooseContext(config, flags);
    const server = config.getCurrentCluster()?.server;
    // What the library makes up when it finds nothing at all.
    if (server === undefined || server === 'http://localhost:8080') {
      throw new UserError(
        'no kubeconfig found and not inside a cluster; give one with --kubeconfig, or set KUBECONFIG',
      );
    }
    return new ClusterApi(config, flags);
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
    const options: HttpsOptions = {};
    // The library wants no token to go over an open line; without TLS only the local proxy of kubectl is of use.
    if (!isPlain) {
      await this.#config.applyToHTTPSOptions(options as Parameters<KubeConfig['applyToHTTPSOptions']>[0]);
    }
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

function chooseContext(config: KubeConfig, { context, cluster, user }: ClusterFlags): void {
  if (context !== undefined) {
    const known = config.getContexts().map(({ name }) => name);
    if (!known.includes(context)) {
      throw new UserError(`the kubeconfig has no context "${context}"; it has: ${known.join(', ') || 'none'}`);
    }
    config.setCurrentContext(context);
  }
  if (cluster !== undefined || user !== undefined) replaceInContext(config, { cluster, user });
}

/** A context of our own, with what flags name in place of what the current context does. */
function replaceInContext(
  config: KubeConfig,
  { cluster, user }: { readonly cluster: string | undefined; readonly user: string | undefined },
): void {
  if (cluster !== undefined && config.getCluster(cluster) === null)
    throw new UserError(`the kubeconfig has no cluster "${cluster}"`);
  if (user !== undefined && config.getUser(user) === null) throw new UserError(`the kubeconfig has no user "${user}"`);
  const base = config.getContextObject(config.getCurrentContext()) ?? { name: '', cluster: '', user: '' };
  const name = 'switchyard (flags)';
  config.addContext({ ...base, name, cluster: cluster ?? base.cluster, user: user ?? base.user });
  config.setCurrentContext(name);
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

/** One line with the next step, for a person. */
export function explainApiError(error: ApiError): UserError {
  return new UserError(`${error.message.split('\n').join(' ')}; ${nextStepOf(error)}`, EXIT.failure);
}

function nextStepOf({ status, object }: ApiError): string {
  switch (status) {
    case 0:
      return 'check that this is the right API server and that it can be reached (--kubeconfig, --context)';
    case 401:
      return 'check the token or client certificate of the kubeconfig';
    case 403:
      return 'ask for the right that is named there (docs/kubectl-switchyard.md lists what each command needs)';
    case 404:
      return /\/(proxyprofiles|nodeproxystates)$/.test(object)
        ? 'Switchyard is not installed in this cluster: kubectl apply -f crds/'
        : 'check the name';
    case 409:
      return 'somebody else changed it at the same time; try again';
    case 422:
      return 'nothing was changed';
    default:
      return 'try again';
  }
}

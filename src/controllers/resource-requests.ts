import { HttpMethod, RequestContext, type KubeConfig } from '@kubernetes/client-node';
import { request, type Dispatcher } from 'undici';
import { ApiError, type StatusBody } from '../kube/error.ts';
import { newWatchTime } from '../kube/watch-time.ts';
import { serverOf } from './kube-config.ts';

const ANSWER_TIMEOUT_MS = 30_000;

export interface ListAnswer extends StatusBody {
  readonly items?: readonly unknown[];
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

/** What is asked for; `id` is for people. */
export interface Collection {
  readonly id: string;
  readonly path: string;
}

export interface ResourceEvent {
  readonly type: string;
  readonly object: unknown;
}

type Query = Readonly<Record<string, string>>;

interface Patience {
  readonly signal?: AbortSignal;
  /** How long an answer that has begun may be silent. */
  readonly silenceMs: number;
}

/**
 * Lists and watches over the connections of a kubeconfig. The watch of client-node gives an idle one up every 30 seconds, and
 * takes one that leads nowhere for idle.
 */
export class ResourceRequests {
  readonly #kubeConfig: KubeConfig;

  constructor(kubeConfig: KubeConfig) {
    this.#kubeConfig = kubeConfig;
  }

  /** One page. Throws ApiError, or what the connection says. */
  async list({ id, path }: Collection, query: Query): Promise<ListAnswer> {
    const response = await this.#get(path, query, { silenceMs: ANSWER_TIMEOUT_MS });
    const body = (await response.body.json().catch((error: unknown) => {
      if (response.statusCode < 400) throw error;
      return {};
    })) as ListAnswer;
    if (response.statusCode >= 400) throw new ApiError('list', id, response.statusCode, body);
    return body;
  }

  /** The changes after the version `from` in their order, until the server ends it or `signal` aborts; throws as `list`. */
  async *watch({ id, path }: Collection, from: string, signal: AbortSignal): AsyncGenerator<ResourceEvent, void> {
    const { timeoutSeconds, silenceMs } = newWatchTime();
    const query = { watch: 'true', resourceVersion: from, allowWatchBookmarks: 'true' };
    try {
      const asked = { ...query, timeoutSeconds: String(timeoutSeconds) };
      const { statusCode, body } = await this.#get(path, asked, { silenceMs, signal });
      if (statusCode >= 400) {
        throw new ApiError('watch', id, statusCode, (await body.json().catch(() => ({}))) as StatusBody);
      }
      yield* readEvents(body);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #get(path: string, query: Query, { signal, silenceMs }: Patience): Promise<Dispatcher.ResponseData> {
    const url = `${serverOf(this.#kubeConfig)}${path}?${new URLSearchParams(query).toString()}`;
    const context = new RequestContext(url, HttpMethod.GET);
    await this.#kubeConfig.applySecurityAuthentication(context);
    const dispatcher = context.getDispatcher();
    return request(url, {
      headers: context.getHeaders(),
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: silenceMs,
      ...(dispatcher === undefined ? {} : { dispatcher }),
      ...(signal === undefined ? {} : { signal }),
    });
  }
}

async function* readEvents(body: Dispatcher.ResponseData['body']): AsyncGenerator<ResourceEvent, void> {
  body.setEncoding('utf8');
  let rest = '';
  for await (const chunk of body as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as ResourceEvent;
  }
}

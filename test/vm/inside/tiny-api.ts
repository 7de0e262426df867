import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { renderedConfig, type NodeProxyStateStatus } from '../../../src/core/api/node-proxy-state.ts';
import { revisionOf } from '../../../src/core/revision.ts';

type Json = Record<string, unknown>;

/** The machine is the test's alone. */
const PORT = 16_443;

/** As much of an API server as one agent asks for; the real one's libraries are not in the machine. */
export class TinyApi {
  readonly #server: Server;
  readonly #objects: Readonly<Record<string, readonly Json[]>>;
  readonly #watches = new Set<ServerResponse>();
  readonly reasons: string[] = [];
  #state: Json | undefined;
  #status: NodeProxyStateStatus | undefined;
  #version = 1;

  readonly #hidden = new Set<string>();

  /** `objects` by path of their collection. */
  constructor(objects: Readonly<Record<string, readonly Json[]>>) {
    this.#objects = objects;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  readonly url = `http://127.0.0.1:${PORT}`;

  async listen(): Promise<void> {
    // As a real one, it does not give up a connection that is idle between two requests.
    this.#server.keepAliveTimeout = 0;
    this.#server.listen(PORT, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** From now on a list of this collection fails, or no longer. */
  hide(path: string, isHidden: boolean): void {
    if (isHidden) this.#hidden.add(path);
    else this.#hidden.delete(path);
  }

  get status(): NodeProxyStateStatus | undefined {
    return this.#status;
  }

  /** What a controller would write. */
  want(config: object, action: 'Apply' | 'Release' = 'Apply'): void {
    const rendered = renderedConfig.parse({ mode: 'nftables', ...config });
    const revision = revisionOf(rendered);
    this.#version += 1;
    // What is read from now on speaks of this.
    this.#status = undefined;
    const now = Date.now();
    this.#state = {
      apiVersion: 'switchyard.dev/v1alpha1',
      kind: 'NodeProxyState',
      metadata: { name: 'n1', uid: 'u', generation: this.#version, resourceVersion: String(this.#version) },
      spec: {
        nodeName: 'n1',
        nodeUID: 'u',
        profile: { name: 'p', uid: 'p', generation: 1 },
        revision,
        action,
        attempt: {
          id: `${revision}-${this.#version}`,
          grantedAt: new Date(now).toISOString(),
          deadlineAt: new Date(now + 120_000).toISOString(),
        },
        rendered,
      },
    };
    for (const watch of this.#watches) this.#push(watch);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #push(watch: ServerResponse): void {
    watch.write(`${JSON.stringify({ type: 'MODIFIED', object: this.#state })}\n`);
  }

  #take(status: NodeProxyStateStatus): void {
    if (status.observedGeneration === this.#version) this.#status = status;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://api');
    const body = await text(request);
    const isStates = url.pathname.endsWith('/nodeproxystates');
    response.setHeader('content-type', 'application/json');
    if (request.method === 'PATCH') this.#take((JSON.parse(body) as { status: NodeProxyStateStatus }).status);
    if (request.method === 'POST') this.reasons.push((JSON.parse(body) as { reason: string }).reason);
    if (request.method !== 'GET') {
      response.end(body);
    } else if (this.#hidden.has(url.pathname)) {
      response.writeHead(503).end(JSON.stringify({ kind: 'Status', status: 'Failure', code: 503 }));
    } else if (url.searchParams.has('watch')) {
      response.write('\n');
      if (!isStates) return;
      this.#watches.add(response);
      response.on('close', () => this.#watches.delete(response));
      if (this.#state !== undefined) this.#push(response);
    } else {
      const own = this.#state === undefined ? [] : [this.#state];
      const items = isStates ? own : (this.#objects[url.pathname] ?? []);
      response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items }));
    }
  }
}

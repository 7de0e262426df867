import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { renderedConfig, type NodeProxyStateStatus } from '../../../src/core/api/node-proxy-state.ts';
import { QUESTION_ANNOTATION, type NodeAnswer, type NodeQuestion } from '../../../src/core/node/node-question.ts';
import { revisionOf } from '../../../src/core/revision.ts';

export type Json = Record<string, unknown>;

const STATES = '/apis/switchyard.dev/v1alpha1/nodeproxystates';

/** The machine is the test's alone. */
const PORT = 16_443;

/** As much of an API server as one agent asks for; the real one's libraries are not in the machine. */
export class TinyApi {
  readonly #server: Server;
  readonly #objects: Map<string, readonly Json[]>;
  /** Watches by path of their collection. */
  readonly #watches = new Map<string, Set<ServerResponse>>();
  readonly reasons: string[] = [];
  #state: Json | undefined;
  #status: NodeProxyStateStatus | undefined;
  #answer: NodeAnswer | undefined;
  /** Of what a controller wants, and of all else. */
  #version = 1;
  #changes = 1;

  readonly #hidden = new Set<string>();

  /** `objects` by path of their collection. */
  constructor(objects: Readonly<Record<string, readonly Json[]>>) {
    this.#objects = new Map(Object.entries(objects));
    this.#server = createServer((request, response) => void this.#respond(request, response));
  }

  readonly url = `http://127.0.0.1:${PORT}`;

  /** At `url`, or on a socket that listens already. */
  async listen(fd?: number): Promise<void> {
    // As a real one, it does not give up a connection that is idle between two requests.
    this.#server.keepAliveTimeout = 0;
    this.#server.listen(fd === undefined ? { port: PORT, host: '127.0.0.1' } : { fd });
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

  /** What the agent was told last. */
  get state(): Json | undefined {
    return this.#state;
  }

  /** What the agent has answered last. */
  get answer(): NodeAnswer | undefined {
    return this.#answer;
  }

  /** Puts a question to the agent, or takes it away. */
  ask(question: NodeQuestion | undefined): void {
    this.#changes += 1;
    const annotations = question === undefined ? {} : { [QUESTION_ANNOTATION]: JSON.stringify(question) };
    const metadata = { ...(this.#state?.['metadata'] as Json), annotations, resourceVersion: `a${this.#changes}` };
    this.#state = { ...this.#state, metadata };
    this.#tell(STATES, this.#state);
  }

  /** Of what is wanted now. */
  get attemptId(): string {
    return (this.#state as { spec?: { attempt: { id: string } } } | undefined)?.spec?.attempt.id ?? '';
  }

  /** What a controller would write. */
  want(config: object, action: 'Apply' | 'Release' = 'Apply', giveBackTo?: 'kube-proxy'): void {
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
        ...(giveBackTo === undefined ? {} : { giveBackTo }),
        attempt: {
          id: `${revision}-${this.#version}`,
          grantedAt: new Date(now).toISOString(),
          deadlineAt: new Date(now + 120_000).toISOString(),
        },
        rendered,
      },
    };
    this.#tell(STATES, this.#state);
  }

  /** Makes or changes an object of a collection. */
  put(path: string, object: Json): void {
    this.#changes += 1;
    const resourceVersion = String(this.#changes);
    const changed = { ...object, metadata: { ...(object['metadata'] as Json), resourceVersion } };
    const others = (this.#objects.get(path) ?? []).filter((one) => nameOf(one) !== nameOf(object));
    this.#objects.set(path, [...others, changed]);
    this.#tell(path, changed);
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #tell(path: string, object: Json): void {
    for (const watch of this.#watches.get(path) ?? []) push(watch, object);
  }

  #take(status: NodeProxyStateStatus): void {
    // An answer is written by itself.
    if (status.answer !== undefined) this.#answer = status.answer;
    if (status.observedGeneration === this.#version) this.#status = status;
  }

  #list(path: string): readonly Json[] {
    if (path !== STATES) return this.#objects.get(path) ?? [];
    return this.#state === undefined ? [] : [this.#state];
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://api');
    const body = await text(request);
    response.setHeader('content-type', 'application/json');
    if (request.method === 'PATCH') this.#take((JSON.parse(body) as { status: NodeProxyStateStatus }).status);
    if (request.method === 'POST') this.reasons.push((JSON.parse(body) as { reason: string }).reason);
    if (request.method !== 'GET') response.end(body);
    else if (this.#hidden.has(url.pathname)) {
      response.writeHead(503).end(JSON.stringify({ kind: 'Status', status: 'Failure', code: 503 }));
    } else if (url.searchParams.has('watch')) this.#watch(url.pathname, response);
    else response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: this.#list(url.pathname) }));
  }

  /** What there is comes again, so that nothing is missed between a list and its watch. */
  #watch(path: string, response: ServerResponse): void {
    response.write('\n');
    const watches = this.#watches.get(path) ?? new Set();
    this.#watches.set(path, watches.add(response));
    response.on('close', () => watches.delete(response));
    for (const object of this.#list(path)) push(response, object);
  }
}

function push(watch: ServerResponse, object: Json): void {
  watch.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
}

function nameOf({ metadata }: Json): string {
  const { namespace = '', name } = metadata as { namespace?: string; name: string };
  return `${namespace}/${name}`;
}

import { KubeConfig, type RequestContext } from '@kubernetes/client-node';
import type { RequestOptions } from 'node:https';
import { Agent, type Dispatcher } from 'undici';
import { KEEP_ALIVE_IDLE_MS } from '../kube/watch-time.ts';
import { UserError } from '../support/errors.ts';

/** How long one TLS pool is used: then certificates and tokens are read from their files anew. */
const POOL_LIFE_MS = 300_000;
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * A KubeConfig that keeps its connections: the one it extends makes a new pool, and so a TLS handshake, for each request.
 * Requests other than watches end after 30 seconds.
 */
export class PooledKubeConfig extends KubeConfig {
  readonly #keepAliveIdleMs: number;
  #pool: { readonly dispatcher: Dispatcher; readonly madeMs: number } | undefined;

  constructor(keepAliveIdleMs = KEEP_ALIVE_IDLE_MS) {
    super();
    this.#keepAliveIdleMs = keepAliveIdleMs;
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    context.setSignal(AbortSignal.timeout(REQUEST_TIMEOUT_MS));
    const made = context.getDispatcher();
    if (made === undefined || this.getCurrentCluster()?.proxyUrl !== undefined) return;
    const old = this.#pool;
    if (old === undefined || performance.now() - old.madeMs > POOL_LIFE_MS) {
      this.#pool = { dispatcher: await this.#makePool(), madeMs: performance.now() };
      // Waits for what runs on it, such as watches, by itself.
      void old?.dispatcher.close();
    }
    context.setDispatcher(this.#pool?.dispatcher ?? made);
  }

  async #makePool(): Promise<Dispatcher> {
    const options: RequestOptions = {};
    await this.applyToHTTPSOptions(options);
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
    const given = Object.entries({ ca, cert, key, pfx, passphrase, rejectUnauthorized, servername });
    const connect = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    // With HTTP/2, undici 8 throws an error that nobody can catch when a connection that had an aborted stream is closed.
    const kept = { keepAlive: true, keepAliveInitialDelay: this.#keepAliveIdleMs };
    return new Agent({ allowH2: false, connect: { ...connect, ...kept } });
  }

  /** Ends every connection at once. */
  async closeConnections(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.dispatcher.destroy();
  }
}

/** Address of the API server. */
export function serverOf(config: KubeConfig): string {
  return config.getCurrentCluster()?.server ?? '';
}

/**
 * From the file, else from KUBECONFIG, ~/.kube/config or the service account of the pod, in this order. Throws a
 * `UserError` when that leads to no API server.
 */
export function loadKubeConfig(path: string | undefined): PooledKubeConfig {
  const config = new PooledKubeConfig();
  try {
    if (path === undefined) config.loadFromDefault();
    else config.loadFromFile(path);
  } catch (error) {
    const from = path ?? 'the default place';
    const [problem] = (error as Error).message.split('\n');
    throw new UserError(`cannot read a kubeconfig from ${from}: ${problem}; give a readable one with --kubeconfig`, 2);
  }
  // What the library makes up when it finds nothing at all.
  if (serverOf(config) === 'http://localhost:8080') {
    throw new UserError('no kubeconfig found and not inside a cluster; give one with --kubeconfig', 2);
  }
  if (serverOf(config) === '') {
    throw new UserError(
      `the kubeconfig ${path ?? ''} names no cluster for its current context; run: kubectl config use-context`,
      2,
    );
  }
  return config;
}

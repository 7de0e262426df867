import type { Server } from 'node:http';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { createServer } from '../support/http.ts';

const RETRY_MS = 5_000;

export interface BindAddress {
  readonly host: string;
  readonly port: number;
}

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Answers GET requests by path; whatever is not in it is 404. */
export type Routes = Readonly<Record<string, () => Reply | Promise<Reply>>>;

export interface Endpoint {
  /** Leaves the port to somebody else, or takes it again. */
  yield(isYielded: boolean): void;
}

/** All IPv4 addresses of the node are meant as all its addresses, as Go programs do: a node of IPv6 alone is asked by IPv6. */
const ALL_ADDRESSES = '0.0.0.0';

/**
 * Serves `routes` until `signal` aborts. A port that is taken is said once and tried again every 5 seconds: the data plane
 * is worth more than its health port.
 */
export function serveHttp(
  address: BindAddress,
  routes: Routes,
  { log, clock, signal }: { log: Log; clock: Clock; signal: AbortSignal },
): Endpoint {
  let isYielded = false;
  const server: Server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const route =
      routes[path] ?? (() => ({ status: 404, contentType: 'text/plain; charset=utf-8', body: '404 page not found\n' }));
    Promise.resolve()
      .then(route)
      .catch((error: unknown) => ({
        status: 500,
        contentType: 'text/plain; charset=utf-8',
        body: `${String(error)}\n`,
      }))
      .then(({ status, contentType, body }) => {
        response.writeHead(status, { 'content-type': contentType, 'x-content-type-options': 'nosniff' });
        response.end(body);
      })
      .catch(() => response.destroy());
  });
  // Without a host Node.js listens on both families, or on IPv4 alone where the kernel has no IPv6.
  const host = address.host === ALL_ADDRESSES ? undefined : address.host;
  const listen = () => server.listen({ port: address.port, host });
  let complained = false;
  server.on('error', (error) => {
    if (!complained) log.error({ ...address, problem: error.message }, 'cannot listen; trying again every 5 seconds');
    complained = true;
    void clock.sleep(RETRY_MS, signal).then(() => {
      if (!signal.aborted && !isYielded) listen();
    });
  });
  listen();
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  signal.addEventListener('abort', close);
  return {
    yield(wanted) {
      if (wanted === isYielded || signal.aborted) return;
      isYielded = wanted;
      if (wanted) close();
      else listen();
    },
  };
}

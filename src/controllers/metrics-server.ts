import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Registry } from 'prom-client';
import { UserError } from '../support/errors.ts';
import { createServer } from '../support/http.ts';

/** Host and port of `127.0.0.1:10247`, `[::1]:10247` or `:10247`. Throws UserError when it is none of these. */
export function parseBindAddress(flag: string, text: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new UserError(`${flag} ${text} is no address; give one such as 127.0.0.1:10247, or 0 for none`, 2);
  }
  return { host: bracketed ?? (plain === undefined || plain === '' ? '::' : plain), port: Number(port) };
}

function answer(server: Server, registry: Registry): void {
  server.on('request', (request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/healthz') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
      return;
    }
    if (path !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('try /metrics or /healthz\n');
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
}

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves `/metrics`, and `/healthz` that says that the process is alive; whether the API server answers has no part in
 * that, since a restart would not mend it. Throws UserError when the address cannot be had.
 */
export async function startMetricsServer(address: string, registry: Registry): Promise<MetricsServer> {
  const { host, port } = parseBindAddress('--metrics-bind-address', address);
  const server = createServer();
  answer(server, registry);
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new UserError(
      `cannot listen on --metrics-bind-address ${address}: ${(error as Error).message}; give a free one, or 0 for none`,
    );
  }
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

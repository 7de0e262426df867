import type { Server } from 'node:http';
import type { DataplaneOptions } from '../../core/service/snapshot.ts';
import { familyOfText } from '../../core/ip.ts';
import { ServiceHealthCounts, type CheckedService } from '../../core/service/service-health.ts';
import type { Taken } from '../../core/service/service-table.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import type { FollowObserver } from './follow-observer.ts';
import { createServer } from '../../support/http.ts';

const RETRY_MS = 5_000;

export interface ServiceHealthParts {
  /** The data plane itself is healthy. */
  readonly isHealthy: () => boolean;
  /** Where NodePorts are accepted. */
  readonly nodePortAddresses: () => DataplaneOptions['nodePortAddresses'];
  /** A port cannot be listened on; told once until it can. */
  readonly onBindFailure: (service: CheckedService, problem: string) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Answers load balancers on the health check port of each Service with externalTrafficPolicy Local: whether this node has
 * ready endpoints of it. Follows the Services once the kernel has their rules; a port that is taken is tried again.
 */
export class ServiceHealthServer implements FollowObserver {
  readonly #parts: ServiceHealthParts;
  readonly #counts = new ServiceHealthCounts();
  #services: ReadonlyMap<string, CheckedService> = new Map();
  /** `address port` -> its listener. */
  readonly #listeners = new Map<string, Listener>();
  #haveCountsChanged = false;

  constructor(parts: ServiceHealthParts) {
    this.#parts = parts;
    parts.signal.addEventListener('abort', () => {
      for (const key of [...this.#listeners.keys()]) this.#close(key);
    });
  }

  taken({ changes }: Taken): void {
    if (this.#counts.apply(changes)) this.#haveCountsChanged = true;
  }

  programmed(_servicePorts: unknown, isWhole: boolean): void {
    if (this.#parts.signal.aborted || (!this.#haveCountsChanged && !isWhole)) return;
    this.#haveCountsChanged = false;
    this.#services = this.#counts.services();
    const wanted = this.#wanted();
    for (const key of [...this.#listeners.keys()]) if (!wanted.has(key)) this.#close(key);
    for (const [key, { address, port, identity }] of wanted) {
      const known = this.#listeners.get(key);
      if (known === undefined) this.#listeners.set(key, this.#open(address, port, identity));
      else known.identity = identity;
    }
  }

  /** Where to listen, and for which Service; of two Services with one port the first by name has it. */
  #wanted(): Map<string, { address: string; port: number; identity: string }> {
    const accepted = this.#parts.nodePortAddresses();
    const wanted = new Map<string, { address: string; port: number; identity: string }>();
    for (const [identity, { family, healthCheckNodePort: port }] of this.#services) {
      const any = family === 'IPv4' ? '0.0.0.0' : '::';
      const addresses = accepted === 'all' ? [any] : accepted.filter((text) => familyOfText(text) === family);
      for (const address of addresses) {
        const key = `${address} ${port}`;
        if (!wanted.has(key)) wanted.set(key, { address, port, identity });
      }
    }
    return wanted;
  }

  #open(address: string, port: number, identity: string): Listener {
    const { clock, log, signal, onBindFailure } = this.#parts;
    const listener: Listener = { identity, isWanted: true, server: createServer() };
    const listen = () => void listener.server.listen({ host: address, port, ipv6Only: address.includes(':') });
    let hasComplained = false;
    listener.server
      .on('request', (_request, response) => {
        const { status, headers, body } = this.#reply(listener.identity);
        response.writeHead(status, headers).end(body);
      })
      .on('listening', () => (hasComplained = false))
      .on('error', (error) => {
        const service = this.#services.get(listener.identity);
        if (!hasComplained && service !== undefined) {
          log.warn({ address, port, problem: error.message }, 'cannot listen on a health check port; trying again');
          onBindFailure(service, error.message);
        }
        hasComplained = true;
        void clock.sleep(RETRY_MS, signal).then(() => {
          if (listener.isWanted && !signal.aborted) listen();
        });
      });
    listen();
    return listener;
  }

  #close(key: string): void {
    const listener = this.#listeners.get(key);
    if (listener === undefined) return;
    this.#listeners.delete(key);
    listener.isWanted = false;
    listener.server.close();
    listener.server.closeAllConnections();
  }

  #reply(identity: string): { status: number; headers: Record<string, string>; body: string } {
    const service = this.#services.get(identity);
    const localEndpoints = service?.localEndpoints ?? 0;
    const serviceProxyHealthy = this.#parts.isHealthy();
    const { namespace, name } = service ?? { namespace: '', name: '' };
    return {
      status: localEndpoints > 0 && serviceProxyHealthy ? 200 : 503,
      headers: {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': String(localEndpoints),
      },
      body: JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy }, null, '\t'),
    };
  }
}

interface Listener {
  identity: string;
  isWanted: boolean;
  readonly server: Server;
}

import { Counter, Histogram, type Registry } from 'prom-client';
import type { Answer } from '../../kube/client.ts';

/** Those of Kubernetes' own client, in seconds. */
const BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

/** Requests to the API server, under the names that every Kubernetes component has for them. */
export class RequestMetrics {
  readonly #total: Counter;
  readonly #seconds: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#total = new Counter({
      name: 'rest_client_requests_total',
      help: 'Requests to the API server by status; <error> where there was no answer.',
      labelNames: ['code', 'host', 'method'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'rest_client_request_duration_seconds',
      help: 'Time to the head of the answer.',
      labelNames: ['host', 'verb'],
      buckets: BUCKETS,
      registers,
    });
  }

  answered({ host, method, status, seconds }: Answer): void {
    this.#total.inc({ code: status === 0 ? '<error>' : String(status), host, method });
    this.#seconds.observe({ host, verb: method }, seconds);
  }
}

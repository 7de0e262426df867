import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Family } from '../../core/ip.ts';
import { lacksLocalEndpoints, POLICIES, type TrafficPolicy } from '../../core/service/service-port.ts';
import type { ServicePort, ServicePortChange } from '../../core/service/snapshot.ts';
import type { Arrived, Taken, Trigger } from '../../core/service/service-table.ts';
import type { Clock } from '../../support/clock.ts';
import type { FollowObserver } from '../services/follow-observer.ts';

/** kube-proxy's buckets, in seconds. */
const PROGRAMMING_BUCKETS = [0.25, 0.5, ...range(1, 1, 59), ...range(60, 5, 12), ...range(120, 30, 7)];

function range(from: number, step: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index * step);
}

/** What becomes of the changes that the agent hears of. */
export class ChangeMetrics implements FollowObserver {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  readonly #programming: Histogram;
  readonly #noLocal: Gauge;
  readonly #totals: Record<keyof Arrived, Counter>;
  /** Taken from the table, not in the kernel yet. */
  #waiting: Arrived = { services: 0, endpointSlices: 0 };
  #triggers: Trigger[] = [];

  constructor(
    clock: Clock,
    { families, arrived, registry }: { families: readonly Family[]; arrived: () => Arrived; registry: Registry },
  ) {
    this.#clock = clock;
    this.#startedAtMs = clock.now();
    const registers = [registry];
    this.#programming = new Histogram({
      name: 'kubeproxy_network_programming_duration_seconds',
      help: 'From the change of a Pod or Service, as its EndpointSlice tells it, to the rules in the kernel.',
      labelNames: ['ip_family'],
      buckets: PROGRAMMING_BUCKETS,
      registers,
    });
    this.#noLocal = new Gauge({
      name: 'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
      help: 'Service ports with a Local traffic policy that have endpoints, but none on this node.',
      labelNames: ['traffic_policy', 'ip_family'],
      registers,
    });
    for (const ip_family of families) {
      for (const traffic_policy of POLICIES) this.#noLocal.set({ traffic_policy, ip_family }, 0);
    }
    const counters = (word: string, kind: keyof Arrived) => {
      const waiting = () => this.#waiting[kind] + arrived()[kind];
      new Gauge({
        name: `kubeproxy_sync_proxy_rules_${word}_changes_pending`,
        help: `Changes of ${kind} that the kernel does not hold yet.`,
        registers,
        collect() {
          this.set(waiting());
        },
      });
      return new Counter({
        name: `kubeproxy_sync_proxy_rules_${word}_changes_total`,
        help: `Changes of ${kind}.`,
        registers,
      });
    };
    this.#totals = {
      services: counters('service', 'services'),
      endpointSlices: counters('endpoint', 'endpointSlices'),
    };
  }

  taken({ changes, triggers, arrived }: Taken): void {
    this.#countNoLocal(changes);
    this.#totals.services.inc(arrived.services);
    this.#totals.endpointSlices.inc(arrived.endpointSlices);
    const { services, endpointSlices } = this.#waiting;
    this.#waiting = {
      services: services + arrived.services,
      endpointSlices: endpointSlices + arrived.endpointSlices,
    };
    // What happened before this process lived says nothing about how fast it is.
    this.#triggers.push(...triggers.filter(({ atMs }) => atMs > this.#startedAtMs));
  }

  programmed(): void {
    const nowMs = this.#clock.now();
    for (const { family, atMs } of this.#triggers) {
      this.#programming.observe({ ip_family: family }, Math.max(0, nowMs - atMs) / 1_000);
    }
    this.#triggers = [];
    this.#waiting = { services: 0, endpointSlices: 0 };
  }

  #countNoLocal(changes: readonly ServicePortChange[]): void {
    const add = (port: ServicePort | undefined, traffic_policy: TrafficPolicy, amount: number) => {
      if (port === undefined || !lacksLocalEndpoints(port, traffic_policy)) return;
      this.#noLocal.inc({ traffic_policy, ip_family: port.family }, amount);
    };
    for (const { before, after } of changes) {
      for (const policy of POLICIES) {
        add(before, policy, -1);
        add(after, policy, 1);
      }
    }
  }
}

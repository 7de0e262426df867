import { Counter, Gauge, type Registry } from 'prom-client';
import type { ServicePort, ServicePortKey, ServicePorts } from '../../core/service/snapshot.ts';
import type { Taken } from '../../core/service/service-table.ts';
import type { Counted } from '../../kernel/counters.ts';
import type { Log } from '../../support/log.ts';
import type { FollowObserver } from '../services/follow-observer.ts';

/** Whoever may annotate a Service adds series to every node: more of them than this are left out. */
const MAX_COUNTED = 200;

/** What counts in the kernel. */
export interface ServiceCounters {
  count(ports: readonly ServicePort[]): Promise<void>;
  read(): Promise<ReadonlyMap<ServicePortKey, Counted>>;
}

export interface ServiceMetricsParts {
  readonly counters: ServiceCounters;
  readonly registry: Registry;
  readonly log: Log;
}

const LABELS = ['namespace', 'service', 'port', 'protocol', 'ip_family'] as const;

/** Connections and packets of the Services that ask to be counted, in whichever mode; the first by name where they are many. */
export class ServiceMetrics implements FollowObserver {
  readonly #parts: ServiceMetricsParts;
  #counted = new Map<ServicePortKey, ServicePort>();
  #leftOut = 0;
  /** True at first: an earlier life may have counted others. */
  #isDirty = true;
  #servicePorts: ServicePorts = new Map();
  #last: Promise<void> = Promise.resolve();

  constructor(parts: ServiceMetricsParts) {
    this.#parts = parts;
    const registers = [parts.registry];
    const values = () => this.#values();
    const counter = (what: keyof Counted, help: string) =>
      new Counter({
        name: `switchyard_service_${what}_total`,
        help: `${help} since it is counted; of Services with the annotation switchyard.dev/metrics.`,
        labelNames: LABELS,
        registers,
        async collect() {
          const counted = await values();
          this.reset();
          for (const [port, value] of counted) this.inc(labelsOf(port), value[what]);
        },
      });
    counter('connections', 'New connections to the port of a Service that reached this node');
    counter('packets', 'Packets from clients to the port of a Service');
    counter('bytes', 'Bytes of packets from clients to the port of a Service');
    const leftOut = () => this.#leftOut;
    new Gauge({
      name: 'switchyard_service_metrics_left_out',
      help: `Ports of Services that ask to be counted beyond the first ${MAX_COUNTED}.`,
      registers,
      collect() {
        this.set(leftOut());
      },
    });
  }

  taken({ changes }: Taken): void {
    this.#isDirty ||= changes.some(({ before, after }) => before?.isCounted === true || after?.isCounted === true);
  }

  programmed(servicePorts: ServicePorts, isWhole: boolean): void {
    this.#servicePorts = servicePorts;
    // Whoever took our rules away may have taken the counters, too.
    this.#isDirty ||= isWhole && this.#counted.size > 0;
    if (this.#isDirty) void this.#update();
  }

  /** One after the other; what the kernel refuses is tried again with the next change, and when somebody asks. */
  #update(): Promise<void> {
    this.#last = this.#last.then(() => this.#updateNow());
    return this.#last;
  }

  async #updateNow(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const asking = [...this.#servicePorts.values()]
      .filter((port) => port.isCounted === true)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    const counted = asking.slice(0, MAX_COUNTED);
    try {
      await this.#parts.counters.count(counted);
      this.#counted = new Map(counted.map((port) => [port.key, port]));
      this.#leftOut = asking.length - counted.length;
    } catch (error) {
      this.#isDirty = true;
      this.#parts.log.warn({ problem: (error as Error).message }, 'Services cannot be counted');
    }
  }

  async #values(): Promise<readonly (readonly [ServicePort, Counted])[]> {
    await this.#update();
    if (this.#counted.size === 0) return [];
    try {
      const values = await this.#parts.counters.read();
      return [...values].flatMap(([key, value]) => {
        const port = this.#counted.get(key);
        return port === undefined ? [] : [[port, value] as const];
      });
    } catch (error) {
      this.#parts.log.warn({ problem: (error as Error).message }, 'the counters of Services cannot be read');
      return [];
    }
  }
}

function labelsOf({
  namespace,
  name,
  portName,
  protocol,
  family,
}: ServicePort): Record<(typeof LABELS)[number], string> {
  return { namespace, service: name, port: portName, protocol, ip_family: family };
}

import type { Family } from '../ip.ts';
import type { ServicePort, ServicePortChange, ServicePortKey } from './snapshot.ts';

/** One Service with a health check port, in one family. */
export interface CheckedService {
  readonly namespace: string;
  readonly name: string;
  readonly family: Family;
  readonly healthCheckNodePort: number;
  /** Ready endpoints on this node, each address once. */
  readonly localEndpoints: number;
}

/** Counts the ready endpoints of this node for load balancers; costs in proportion to the changes. */
export class ServiceHealthCounts {
  /** `namespace/name@family` -> its ServicePorts with a health check port. */
  readonly #ports = new Map<string, Map<ServicePortKey, ServicePort>>();

  /** Returns whether any of the Services here may have changed. */
  apply(changes: readonly ServicePortChange[]): boolean {
    let changed = false;
    for (const { key, before, after } of changes) {
      if (before !== undefined && before.healthCheckNodePort !== 0) {
        this.#remove(before, key);
        changed = true;
      }
      if (after !== undefined && after.healthCheckNodePort !== 0) {
        this.#put(after, key);
        changed = true;
      }
    }
    return changed;
  }

  /** By identity, in a stable order. */
  services(): ReadonlyMap<string, CheckedService> {
    const entries = [...this.#ports].sort(([a], [b]) => (a < b ? -1 : 1));
    return new Map(
      entries.flatMap(([identity, ports]) => {
        const service = checkedService([...ports.values()]);
        return service === undefined ? [] : [[identity, service] as const];
      }),
    );
  }

  #put(port: ServicePort, key: ServicePortKey): void {
    const ports = this.#ports.get(identityOf(port)) ?? new Map<ServicePortKey, ServicePort>();
    ports.set(key, port);
    this.#ports.set(identityOf(port), ports);
  }

  #remove(port: ServicePort, key: ServicePortKey): void {
    const ports = this.#ports.get(identityOf(port));
    ports?.delete(key);
    if (ports?.size === 0) this.#ports.delete(identityOf(port));
  }
}

function identityOf({ namespace, name, family }: ServicePort): string {
  return `${namespace}/${name}@${family}`;
}

function checkedService(ports: readonly ServicePort[]): CheckedService | undefined {
  const [first] = ports;
  if (first === undefined) return undefined;
  const { namespace, name, family, healthCheckNodePort } = first;
  const localEndpoints = new Set(ports.flatMap(({ readyLocalAddresses }) => readyLocalAddresses)).size;
  return { namespace, name, family, healthCheckNodePort, localEndpoints };
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';
import { FAMILIES, type Family } from '../core/ip.ts';
import type { Mode } from '../core/mode.ts';
import { canonicalJson } from '../core/revision.ts';
import type { DataplaneOptions, ServicePort } from '../core/snapshot.ts';
import { TABLES, type Table } from '../plan/iptables/fragment.ts';
import { planServicePort } from '../plan/iptables/service-port.ts';
import { serviceElements } from '../plan/nftables/service.ts';
import type { FollowObserver } from './follow-observer.ts';
import type { ServicePorts } from './programmed-mode.ts';

/** ServicePorts that are counted before other work gets its turn. */
const PORTS_PER_TURN = 100;

export interface Programmed {
  readonly mode: Mode;
  readonly options: DataplaneOptions;
}

type Counts = Readonly<Partial<Record<Table, number>>>;

/**
 * How many rules or elements the Services need in the mode that serves, which is what the kernel holds while it is
 * healthy. Counted when somebody asks, each version of a ServicePort once, so that changes cost nothing more.
 */
export class RuleMetrics implements FollowObserver {
  readonly #programmed: () => Programmed | undefined;
  #servicePorts: ServicePorts = new Map();
  #known = new WeakMap<ServicePort, Counts>();
  /** What `#known` was counted for. */
  #basis = '';

  constructor(registry: Registry, programmed: () => Programmed | undefined) {
    this.#programmed = programmed;
    const registers = [registry];
    const sums = () => this.#sums();
    new Gauge({
      name: 'kubeproxy_sync_proxy_rules_iptables_total',
      help: 'Rules that the Services need in iptables mode.',
      labelNames: ['table', 'ip_family'],
      registers,
      async collect() {
        const { mode, counts } = await sums();
        this.reset();
        if (mode !== 'iptables') return;
        for (const [ip_family, tables] of counts) {
          for (const table of TABLES) this.set({ table, ip_family }, tables.get(table) ?? 0);
        }
      },
    });
    new Gauge({
      name: 'switchyard_rules',
      help: 'Rules (iptables mode) or elements (nftables mode) that the Services need.',
      labelNames: ['mode', 'ip_family'],
      registers,
      async collect() {
        const { mode, counts } = await sums();
        this.reset();
        if (mode !== 'iptables' && mode !== 'nftables') return;
        for (const [ip_family, tables] of counts) {
          this.set(
            { mode, ip_family },
            [...tables.values()].reduce((sum, count) => sum + count, 0),
          );
        }
      },
    });
  }

  programmed(servicePorts: ServicePorts): void {
    this.#servicePorts = servicePorts;
  }

  async #sums(): Promise<{ mode: Mode | undefined; counts: Map<Family, Map<Table, number>> }> {
    const counts = new Map(FAMILIES.map((family) => [family, new Map<Table, number>()]));
    const programmed = this.#programmed();
    if (programmed === undefined) return { mode: undefined, counts };
    this.#forgetOthers(programmed);
    let counted = 0;
    for (const port of this.#servicePorts.values()) {
      if (!programmed.options.families.includes(port.family)) continue;
      const own = this.#known.get(port) ?? countsOf(port, programmed);
      if (!this.#known.has(port)) {
        this.#known.set(port, own);
        counted += 1;
        if (counted % PORTS_PER_TURN === 0) await nextTurn();
      }
      const sums = counts.get(port.family);
      for (const table of TABLES) sums?.set(table, (sums.get(table) ?? 0) + (own[table] ?? 0));
    }
    return { mode: programmed.mode, counts };
  }

  #forgetOthers({ mode, options }: Programmed): void {
    const basis = `${mode} ${canonicalJson(options)}`;
    if (basis === this.#basis) return;
    this.#basis = basis;
    this.#known = new WeakMap();
  }
}

function countsOf(port: ServicePort, { mode, options }: Programmed): Counts {
  if (mode === 'nftables') {
    const { elements, shared } = serviceElements(port);
    return { nat: elements.length + shared.length };
  }
  if (mode !== 'iptables') return {};
  const { chains, entries } = planServicePort(port, options);
  const counts: Partial<Record<Table, number>> = {};
  const add = (table: Table, count: number) => (counts[table] = (counts[table] ?? 0) + count);
  for (const { table, rules } of chains) add(table, rules.length);
  for (const { table } of entries) add(table, 1);
  return counts;
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';
import { mayAcceptNodePorts } from '../../core/service/dataplane-options.ts';
import { familyOfText, type Family } from '../../core/ip.ts';
import { DEFAULT_IPVS_OPTIONS } from '../../core/service/ipvs-options.ts';
import type { Mode } from '../../core/mode.ts';
import { canonicalJson } from '../../core/revision.ts';
import type { DataplaneOptions, ServicePort, ServicePorts } from '../../core/service/snapshot.ts';
import { planServicePort as planIpvs } from '../../plan/ipvs/service-port.ts';
import type { Table } from '../../plan/iptables/fragment.ts';
import { planServicePort } from '../../plan/iptables/service-port.ts';
import { planSkeleton } from '../../plan/iptables/skeleton.ts';
import { serviceElements } from '../../plan/nftables/service.ts';
import type { FollowObserver } from '../services/follow-observer.ts';

/** Tables that rules of iptables mode are in. */
const RULE_TABLES = ['nat', 'filter'] as const satisfies readonly Table[];
/** What other modes have instead: elements, or virtual servers, their real servers and entries of sets. */
const OBJECTS = 'objects';
/** ServicePorts that are counted before other work gets its turn. */
const PORTS_PER_TURN = 100;

export interface Programmed {
  readonly mode: Mode;
  readonly options: DataplaneOptions;
  /** Of this node; needed in IPVS mode only. */
  readonly localAddresses: readonly string[];
}

type Counts = ReadonlyMap<string, number>;

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
      help: 'Rules of ours in iptables mode.',
      labelNames: ['table', 'ip_family'],
      registers,
      async collect() {
        const { mode, counts } = await sums();
        this.reset();
        if (mode !== 'iptables') return;
        for (const [ip_family, tables] of counts) {
          for (const table of RULE_TABLES) this.set({ table, ip_family }, tables.get(table) ?? 0);
        }
      },
    });
    new Gauge({
      name: 'switchyard_rules',
      help: 'Rules (iptables mode), elements (nftables mode), or virtual and real servers and entries of sets (IPVS mode).',
      labelNames: ['mode', 'ip_family'],
      registers,
      async collect() {
        const { mode, counts } = await sums();
        this.reset();
        if (mode === undefined) return;
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

  async #sums(): Promise<{ mode: Mode | undefined; counts: Map<Family, Map<string, number>> }> {
    const programmed = this.#programmed();
    if (programmed === undefined) return { mode: undefined, counts: new Map() };
    const counts = new Map(
      programmed.options.families.map((family) => [family, new Map(skeletonOf(family, programmed))]),
    );
    this.#forgetOthers(programmed);
    let counted = 0;
    for (const port of this.#servicePorts.values()) {
      const sums = counts.get(port.family);
      if (sums === undefined) continue;
      const own = this.#known.get(port) ?? countsOf(port, programmed);
      if (!this.#known.has(port)) {
        this.#known.set(port, own);
        counted += 1;
        if (counted % PORTS_PER_TURN === 0) await nextTurn();
      }
      for (const [what, count] of own) sums.set(what, (sums.get(what) ?? 0) + count);
    }
    return { mode: programmed.mode, counts };
  }

  #forgetOthers(programmed: Programmed): void {
    const basis = canonicalJson(programmed);
    if (basis === this.#basis) return;
    this.#basis = basis;
    this.#known = new WeakMap();
  }
}

/** What is there without any Service. */
function skeletonOf(family: Family, { mode, options }: Programmed): Counts {
  if (mode !== 'iptables') return new Map();
  const { chains, lists, jumps } = planSkeleton(options, family, { isTcpLiberal: false });
  return sumUp([
    ...chains.map(({ table, rules }): Count => [table, rules.length]),
    ...lists.map(({ table, tail }): Count => [table, tail.length]),
    ...jumps.map(({ table }): Count => [table, 1]),
  ]);
}

function countsOf(port: ServicePort, programmed: Programmed): Counts {
  const { mode, options } = programmed;
  switch (mode) {
    case 'nftables': {
      const { elements, shared } = serviceElements(port);
      return new Map([[OBJECTS, elements.length + shared.length]]);
    }
    case 'ipvs':
      return new Map([[OBJECTS, ipvsObjects(port, programmed)]]);
    case 'iptables': {
      const { chains, entries } = planServicePort(port, options);
      return sumUp([
        ...chains.map(({ table, rules }): Count => [table, rules.length]),
        ...entries.map(({ table }): Count => [table, 1]),
      ]);
    }
  }
}

function ipvsObjects(port: ServicePort, { options, localAddresses }: Programmed): number {
  const { family } = port;
  const candidates = options.nodePortAddresses === 'all' ? localAddresses : options.nodePortAddresses;
  const objects = planIpvs(port, {
    family,
    options: options.ipvs ?? DEFAULT_IPVS_OPTIONS,
    nodePortAddresses: candidates.filter(
      (address) => familyOfText(address) === family && mayAcceptNodePorts(address, { localhostNodePorts: false }),
    ),
    localAddresses: new Set(localAddresses),
  });
  return objects.reduce((sum, object) => sum + 1 + (object.kind === 'server' ? object.realServers.length : 0), 0);
}

type Count = readonly [what: string, count: number];

function sumUp(counts: readonly Count[]): Counts {
  const sums = new Map<string, number>();
  for (const [what, count] of counts) sums.set(what, (sums.get(what) ?? 0) + count);
  return sums;
}

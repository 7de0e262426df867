import type { AffinityEntry, AffinityMemory } from '../core/service/affinity.ts';
import type { Family } from '../core/ip.ts';
import { DEFAULT_IPVS_OPTIONS } from '../core/service/ipvs-options.ts';
import type { ServicePortChange, Snapshot } from '../core/service/snapshot.ts';
import { countOperations as countRules } from '../plan/iptables/operation.ts';
import { diffIpvs } from '../plan/ipvs/diff.ts';
import type { Ledger } from '../plan/ipvs/ledger.ts';
import type { IpvsObject } from '../plan/ipvs/objects.ts';
import { frontendKey } from '../plan/ipvs/objects.ts';
import { countOperations, inOrder, type Operation } from '../plan/ipvs/operation.ts';
import { readTemplates, templatesFor } from '../plan/ipvs/persistence.ts';
import { operationsFor } from '../plan/ipvs/transition.ts';
import type { AffinityImport, Dataplane, Difference, SyncReport } from './dataplane.ts';
import { KernelError } from './error.ts';
import type { Flavour } from './iptables/tool.ts';
import { IpvsChains } from './ipvs/chains.ts';
import { startDrain, stopDrain, type DrainOptions } from './ipvs/drain.ts';
import { differencesOf, ruleDifferencesOf } from './ipvs/difference.ts';
import { IpvsKernel, type NodeAddresses } from './ipvs/kernel-state.ts';
import { isSame, ofFamily, planLedgers, sourceFrom } from './ipvs/node-plan.ts';
import { busyServers, removeRest, stopServing } from './ipvs/leave.ts';
import { SchedulerWishes } from './ipvs/scheduler-wishes.ts';
import { IpvsLook } from './ipvs/look.ts';
import { addTemplates, listTemplates } from './ipvs/templates.ts';
import { Retirement } from './ipvs/retirement.ts';

const RETIREMENT_INTERVAL_MS = 10_000;

export interface IpvsDataplaneOptions {
  /** Path of the network namespace to work in; default the process's own. */
  readonly netns?: string;
  /** Absent: the one in use there. */
  readonly flavour?: Flavour;
  /** Where settings of a device are written; default `/proc/sys`. */
  readonly procSysDir?: string | undefined;
  /** How often real servers that have retired are looked at. */
  readonly retirementIntervalMs?: number;
  /**
   * What `remove` does about connections through IPVS. With a deadline it returns as soon as IPVS takes no new ones, and the
   * rest is removed in the background when the old ones have ended (`sync` and `remove` stop that); without, they stop.
   */
  readonly drain?: () => DrainOptions;
  /** A Service asks for a scheduler that this kernel does not have; it gets what all have. */
  readonly onMissingScheduler?: (scheduler: string) => void;
}

/**
 * IPVS mode: virtual servers and real servers by netlink, addresses bound by local routes, ipsets `SWITCHYARD-4-*` and
 * `SWITCHYARD-6-*`, and chains `SWITCHYARD-IPVS-*` that never change with Services. Opens netlink sockets; `close` it.
 *
 * IPVS knows no transactions: a change that fails half way leaves a part of it, in an order in which no packet is sent to
 * the wrong place. Only `sync` may follow then. The settings that it needs (`desiredSysctls`) are the caller's business.
 */
export function createIpvsDataplane(options: IpvsDataplaneOptions = {}): Dataplane {
  return new KernelIpvsDataplane(options);
}

/** What the last successful `sync` or `update` was told. */
interface Applied {
  readonly options: Snapshot['options'];
  /** Looking again costs as much as there are addresses, of Services too; who calls `sync` knows of changes. */
  readonly node: NodeAddresses;
  readonly ledgers: ReadonlyMap<Family, Ledger>;
}

class KernelIpvsDataplane implements Dataplane {
  readonly mode = 'ipvs';
  readonly followsNodeAddresses = true;
  readonly #netns: string | undefined;
  readonly #flavour: Flavour | undefined;
  readonly #drain: () => DrainOptions;
  readonly #kernel: IpvsKernel;
  readonly #chains: IpvsChains;
  readonly #retirement: Retirement;
  readonly #look: IpvsLook;
  readonly #schedulers: SchedulerWishes;
  #last: Promise<unknown> = Promise.resolve();
  #applied: Applied | undefined;

  constructor(options: IpvsDataplaneOptions) {
    const { netns, flavour, procSysDir, retirementIntervalMs, drain, onMissingScheduler } = options;
    this.#netns = netns;
    this.#flavour = flavour;
    this.#drain = drain ?? (() => ({ deadlineMs: 0 }));
    this.#schedulers = new SchedulerWishes(onMissingScheduler);
    this.#kernel = new IpvsKernel(netns, procSysDir);
    this.#chains = new IpvsChains(netns, flavour);
    this.#look = new IpvsLook(netns, this.#kernel.sets);
    this.#retirement = new Retirement({
      kernel: this.#kernel,
      intervalMs: retirementIntervalMs ?? RETIREMENT_INTERVAL_MS,
      exclusively: (work) => this.#exclusively(work),
    });
  }

  sync(snapshot: Snapshot): Promise<SyncReport> {
    return this.#exclusively(() => {
      this.#schedulers.forget();
      return this.#syncWithWhatThereIs(snapshot);
    });
  }

  /** No Service's wish keeps the others from being served. */
  async #syncWithWhatThereIs(snapshot: Snapshot): Promise<SyncReport> {
    for (;;) {
      try {
        return await this.#sync(snapshot);
      } catch (error) {
        if (!this.#schedulers.goesWithout(error, snapshot.options)) throw error;
      }
    }
  }

  async #sync(snapshot: Snapshot): Promise<SyncReport> {
    this.#forget();
    await stopDrain(this.#netns);
    await this.#requireIpvs();
    await this.#setTimeouts(snapshot);
    const node = await this.#kernel.nodeAddresses();
    const ledgers = this.#planLedgers(snapshot, node);
    const operations = inOrder(await this.#diff(snapshot, node, ledgers));
    const isBefore = ({ kind }: Operation): boolean => kind === 'createSet' || kind === 'addMember';
    await this.#kernel.apply(operations.filter(isBefore));
    const rules = await this.#chains.sync(snapshot);
    await this.#kernel.apply(operations.filter((operation) => !isBefore(operation)));
    this.#watchRetired(operations);
    this.#applied = { options: snapshot.options, node, ledgers };
    const [objects, chains] = [countOperations(operations), countRules(rules)];
    return { written: objects.written + chains.written, removed: objects.removed + chains.removed };
  }

  update(snapshot: Snapshot, changes: readonly ServicePortChange[]): Promise<SyncReport> {
    return this.#exclusively(async () => {
      const applied = this.#applied;
      if (applied === undefined || !isSame(applied.options, snapshot.options))
        return this.#syncWithWhatThereIs(snapshot);
      this.#forget();
      const transitions = [...applied.ledgers].flatMap(([family, ledger]) => ledger.apply(ofFamily(changes, family)));
      const operations = inOrder(transitions.flatMap((each) => operationsFor(each, sourceFrom(applied.node))));
      try {
        await this.#kernel.apply(operations);
      } catch (error) {
        if (!this.#schedulers.goesWithout(error, snapshot.options)) throw error;
        return this.#syncWithWhatThereIs(snapshot);
      }
      this.#watchRetired(operations);
      this.#applied = applied;
      return countOperations(operations);
    });
  }

  verify(snapshot: Snapshot): Promise<readonly Difference[]> {
    return this.#exclusively(async () => {
      await this.#requireIpvs();
      const node = await this.#kernel.nodeAddresses();
      const operations = await this.#diff(snapshot, node, this.#planLedgers(snapshot, node));
      const rules = await this.#chains.diff(snapshot);
      return [...operations.flatMap(differencesOf), ...rules.flatMap(ruleDifferencesOf)];
    });
  }

  exportAffinity(snapshot: Snapshot): Promise<AffinityMemory> {
    return this.#exclusively(async () => {
      const templates = listTemplates(this.#netns);
      if (templates.length === 0) return { entries: [], leftOut: 0 };
      const ledgers = this.#planLedgers(snapshot, await this.#kernel.nodeAddresses());
      return readTemplates(templates, snapshot, ledgers.values());
    });
  }

  /** Before the first `sync` there is no virtual server that could remember anybody. */
  importAffinity(_snapshot: Snapshot, entries: readonly AffinityEntry[]): Promise<AffinityImport> {
    return this.#exclusively(async () => {
      const ledgers = this.#applied?.ledgers;
      if (ledgers === undefined) return { taken: 0, leftOut: 0 };
      const templates = templatesFor(entries, ledgers.values());
      const known = await addTemplates(this.#kernel.servers, templates, this.#netns);
      const leftOut = Math.min(entries.length, templates.length - known);
      return { taken: entries.length - leftOut, leftOut };
    });
  }

  isIntact(addresses: boolean): Promise<boolean> {
    return this.#exclusively(async () => {
      const applied = this.#applied;
      if (applied === undefined) return true;
      const objects = () => [...applied.ledgers.values()].flatMap((ledger) => [...ledger.objects()]);
      if (!(await this.#look.isIntact(objects)) || !(await this.#chains.isIntact(applied))) return false;
      const bound = (): string[] => objects().flatMap((object) => (object.kind === 'address' ? [object.address] : []));
      return !addresses || this.#kernel.hasBound(new Set(bound()));
    });
  }

  isPresent(): Promise<boolean> {
    return this.#exclusively(() => this.#kernel.isPresent());
  }

  remove(): Promise<void> {
    return this.#exclusively(async () => {
      this.#forget();
      this.#retirement.stop();
      await stopDrain(this.#netns);
      const parts = { netns: this.#netns, kernel: this.#kernel, chains: this.#chains };
      await stopServing(parts);
      const drain = this.#drain();
      const busy = drain.deadlineMs > 0 ? (await busyServers(this.#kernel)).length : 0;
      if (busy === 0) return removeRest(parts);
      startDrain(this.#netns, this.#flavour, drain);
      drain.onStart?.(busy);
    });
  }

  close(): void {
    this.#retirement.stop();
    this.#kernel.close();
  }

  #planLedgers(snapshot: Snapshot, node: NodeAddresses): ReadonlyMap<Family, Ledger> {
    return planLedgers(snapshot, node, this.#schedulers.lacked);
  }

  async #diff(
    { options: { families } }: Snapshot,
    node: NodeAddresses,
    ledgers: ReadonlyMap<Family, Ledger>,
  ): Promise<readonly Operation[]> {
    const objects = [...ledgers.values()].flatMap((ledger): IpvsObject[] => [...ledger.objects()]);
    const frontends = objects.flatMap((object) => (object.kind === 'server' ? [frontendKey(object.server)] : []));
    const observed = await this.#kernel.observe(new Set(frontends));
    return diffIpvs(observed, { families, objects, sourceFor: sourceFrom(node) });
  }

  #watchRetired(operations: readonly Operation[]): void {
    for (const operation of operations)
      if (operation.kind === 'retireRealServer') this.#retirement.add(operation.server);
  }

  #forget(): void {
    this.#applied = undefined;
    this.#look.forget();
  }

  async #requireIpvs(): Promise<void> {
    if (await this.#kernel.servers.isAvailable()) return;
    const detail = 'this kernel has no IPVS; load its module (modprobe ip_vs) or choose another mode';
    throw new KernelError({ operation: 'find', object: 'the kernel module ip_vs', detail, retryable: false });
  }

  async #setTimeouts({ options: { ipvs } }: Snapshot): Promise<void> {
    const { timeouts } = ipvs ?? DEFAULT_IPVS_OPTIONS;
    const wanted = Object.entries(timeouts) as [keyof typeof timeouts, number][];
    if (wanted.every(([, seconds]) => seconds === 0)) return;
    const now = await this.#kernel.servers.timeouts();
    if (wanted.every(([name, seconds]) => seconds === 0 || seconds === now[name])) return;
    await this.#kernel.servers.setTimeouts(timeouts);
  }

  /** IPVS has no transactions, so whoever reads and then writes must be alone. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

import type { AffinityEntry, AffinityMemory } from '../core/service/affinity.ts';
import { FAMILIES, type Family } from '../core/ip.ts';
import type { ServicePortChange, Snapshot } from '../core/service/snapshot.ts';
import { diffChanges, diffRuleset } from '../plan/iptables/diff.ts';
import { countOperations, countRules, renderRestore, type Operation } from '../plan/iptables/operation.ts';
import { planRemoval } from '../plan/iptables/removal.ts';
import { NO_RULESET, planRuleset, type Ruleset } from '../plan/iptables/ruleset.ts';
import { isOwnChain, type Saved } from '../plan/iptables/saved.ts';
import { FORWARD, POSTROUTING, PREFIX } from '../plan/iptables/names.ts';
import { DROP_INVALID, FROM_LOCALHOST, type KernelSettings } from '../plan/iptables/skeleton.ts';
import type { AffinityImport, Dataplane, Difference, SyncReport, PacketCounts } from './dataplane.ts';
import { exportAffinity, importAffinity } from './iptables/affinity-transfer.ts';
import { chooseTool, listTools, saveIfInstalled, saveOwn } from './iptables/flavour.ts';
import { RulesLook } from './iptables/look.ts';
import { listOwnChains } from './iptables/own-chains.ts';
import { RecentLists } from './iptables/recent-lists.ts';
import { TableSizes } from './iptables/table-sizes.ts';
import { IptablesTool, type Flavour } from './iptables/tool.ts';

const USED_TABLES = ['nat', 'filter'] as const;

export interface IptablesDataplaneOptions {
  /** Path of a network namespace, e.g. `/run/netns/n1`; absent means our own. */
  readonly netns?: string;
  /** Absent: the one in use there, decided at the first call; `isPresent` and `remove` then look at both. */
  readonly flavour?: Flavour;
}

interface Written {
  readonly snapshot: Snapshot;
  readonly kernel: KernelSettings;
}

/** iptables mode: chains `SWITCHYARD-*` in the tables nat and filter of both families, written by iptables-restore. */
export function createIptablesDataplane(options: IptablesDataplaneOptions = {}): Dataplane {
  return new IptablesDataplane(options);
}

class IptablesDataplane implements Dataplane {
  readonly mode = 'iptables';
  readonly #netns: string | undefined;
  readonly #flavour: Flavour | undefined;
  #tool: IptablesTool | undefined;
  readonly #look = new RulesLook(() => this.#readSizes());
  readonly #sizes: TableSizes;
  /** What was written last; absent before the first `sync`, while writing and after a failure. */
  #written: Written | undefined;

  constructor(options: IptablesDataplaneOptions) {
    this.#netns = options.netns;
    this.#flavour = options.flavour;
    this.#sizes = new TableSizes(options.netns);
  }

  async sync(snapshot: Snapshot): Promise<SyncReport> {
    const tool = await this.#chosenTool();
    const kernel = { isTcpLiberal: tool.isTcpLiberal() };
    return this.#write({ snapshot, kernel }, async (family) => {
      const saved = await savedFor(tool, snapshot, family);
      const operations = diffRuleset(saved, wantedFor(snapshot, family, kernel));
      await tool.restore(family, renderRestore(operations));
      return operations;
    });
  }

  async update(snapshot: Snapshot, changes: readonly ServicePortChange[]): Promise<SyncReport> {
    const tool = await this.#chosenTool();
    const kernel = this.#written?.kernel ?? { isTcpLiberal: tool.isTcpLiberal() };
    return this.#write({ snapshot, kernel }, async (family) => {
      const operations = diffChanges(changes, snapshot.options, family);
      await tool.restore(family, renderRestore(operations));
      return operations;
    });
  }

  async #write(written: Written, apply: (family: Family) => Promise<readonly Operation[]>): Promise<SyncReport> {
    this.#written = undefined;
    const end = this.#look.begin();
    try {
      const report = await inFamilies(apply);
      this.#written = written;
      return report;
    } finally {
      end();
    }
  }

  glance(): boolean {
    return this.#tool?.flavour !== 'legacy' || this.#written === undefined || this.#look.glance();
  }

  #readSizes(): string | undefined {
    const families = this.#written?.snapshot.options.families;
    if (this.#tool?.flavour !== 'legacy' || families === undefined) return undefined;
    return this.#sizes.read(families, USED_TABLES);
  }

  /** The kernel tells of changes of iptables-nft. */
  async isIntact(): Promise<boolean> {
    const [tool, written] = [this.#tool, this.#written];
    if (tool?.flavour !== 'legacy' || written === undefined) return true;
    const { snapshot, kernel } = written;
    return this.#look.isIntact({
      save: (family) => savedFor(tool, snapshot, family),
      isWhole: (saved) =>
        [...saved].every(([family, one]) => diffRuleset(one, wantedFor(snapshot, family, kernel)).length === 0),
    });
  }

  async verify(snapshot: Snapshot): Promise<readonly Difference[]> {
    const tool = await this.#chosenTool();
    const isTcpLiberal = tool.isTcpLiberal();
    const found = await Promise.all(
      FAMILIES.map(async (family) => {
        const saved = await savedFor(tool, snapshot, family);
        const operations = diffRuleset(saved, wantedFor(snapshot, family, { isTcpLiberal }));
        return operations.map((operation) => differenceOf(operation, saved, family));
      }),
    );
    return found.flat();
  }

  exportAffinity(snapshot: Snapshot): Promise<AffinityMemory> {
    return exportAffinity(new RecentLists(this.#netns), snapshot);
  }

  async importAffinity(snapshot: Snapshot, entries: readonly AffinityEntry[]): Promise<AffinityImport> {
    if (this.#written === undefined && entries.length > 0) await this.#writeUnreached(snapshot);
    return importAffinity(new RecentLists(this.#netns), snapshot, entries);
  }

  /**
   * Everything but the jumps: lists are there only while a rule names them, and these rules would decide from their first
   * packet on, before what IPVS remembers is in them.
   */
  async #writeUnreached(snapshot: Snapshot): Promise<void> {
    const tool = await this.#chosenTool();
    const kernel = { isTcpLiberal: tool.isTcpLiberal() };
    await inFamilies(async (family) => {
      const all = diffRuleset(await savedFor(tool, snapshot, family), wantedFor(snapshot, family, kernel));
      const operations = all.filter((one) => one.kind !== 'insertRule' || one.chain.startsWith(PREFIX));
      await tool.restore(family, renderRestore(operations));
      return operations;
    });
  }

  async countPackets(): Promise<PacketCounts> {
    const tool = await this.#chosenTool();
    const counts = await Promise.all(
      FAMILIES.map(async (family) => ({
        invalidDropped: await tool.countPackets(family, { table: 'filter', chain: FORWARD, rule: DROP_INVALID }),
        localhostNodePorts: await tool.countPackets(family, { table: 'nat', chain: POSTROUTING, rule: FROM_LOCALHOST }),
      })),
    );
    const sum = (what: keyof PacketCounts) => counts.reduce((total, each) => total + each[what], 0);
    return { invalidDropped: sum('invalidDropped'), localhostNodePorts: sum('localhostNodePorts') };
  }

  async isPresent(): Promise<boolean> {
    const tools = await this.#allTools();
    const found = await Promise.all(tools.flatMap((tool) => FAMILIES.map((family) => this.#hasRules(tool, family))));
    return found.includes(true);
  }

  async #hasRules(tool: IptablesTool, family: Family): Promise<boolean> {
    if (tool.flavour === 'nft') {
      const chains = await listOwnChains(this.#netns, family);
      return chains.some((name) => isOwnChain(name, 'iptables'));
    }
    const { chains, jumps } = await saveIfInstalled(tool, family);
    return chains.size > 0 || jumps.length > 0;
  }

  async remove(): Promise<void> {
    for (const tool of await this.#allTools()) {
      for (const family of FAMILIES) {
        const saved = await saveOwn(tool, family, 'iptables');
        for (const step of planRemoval(saved)) await tool.restore(family, renderRestore(step));
      }
    }
    this.#tool = undefined;
    this.#written = undefined;
  }

  close(): void {
    this.#sizes.close();
  }

  async #chosenTool(): Promise<IptablesTool> {
    this.#tool ??= await chooseTool(await this.#allTools(), this.#netns);
    return this.#tool;
  }

  async #allTools(): Promise<readonly IptablesTool[]> {
    const tools = await listTools(this.#netns);
    if (this.#flavour === undefined) return tools;
    const flavour = this.#flavour;
    const wanted = tools.filter((tool) => tool.flavour === flavour);
    return wanted.length > 0 ? wanted : [new IptablesTool({ netns: this.#netns, flavour, hasFlavouredNames: true })];
  }
}

/** Both families at once; when one fails the other still ends before this throws. */
async function inFamilies(apply: (family: Family) => Promise<readonly Operation[]>): Promise<SyncReport> {
  const outcomes = await Promise.allSettled(FAMILIES.map(apply));
  const perFamily = outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
  const rules = FAMILIES.flatMap((family, index) =>
    USED_TABLES.map((table) => ({ family, table, count: countRules(perFamily[index] ?? [], table) })),
  );
  return { ...countOperations(perFamily.flat()), rules };
}

function wantedFor(snapshot: Snapshot, family: Family, kernel: KernelSettings): Ruleset {
  return snapshot.options.families.includes(family) ? planRuleset(snapshot, family, kernel) : NO_RULESET;
}

/** A family that nobody asks for need not have tools. */
function savedFor(tool: IptablesTool, snapshot: Snapshot, family: Family): Promise<Saved> {
  return snapshot.options.families.includes(family) ? tool.save(family) : saveIfInstalled(tool, family);
}

function differenceOf(operation: Operation, saved: Saved, family: Family): Difference {
  const where = family === 'IPv4' ? 'iptables' : 'ip6tables';
  switch (operation.kind) {
    case 'writeChain': {
      const problem = saved.chains.has(`${operation.table} ${operation.name}`) ? 'changed' : 'missing';
      return { object: `${where} ${operation.table} chain ${operation.name} (${operation.about})`, problem };
    }
    case 'removeChain':
      return { object: `${where} ${operation.table} chain ${operation.chain}`, problem: 'unexpected' };
    case 'insertRule':
    case 'deleteRule': {
      const problem = operation.kind === 'insertRule' ? 'missing' : 'unexpected';
      return { object: `${where} ${operation.table} rule -A ${operation.chain} ${operation.rule}`, problem };
    }
  }
}

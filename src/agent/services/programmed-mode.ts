import type { RenderedConfig } from '../../core/api/node-proxy-state.ts';
import { resolveOptions, type NodeNetwork } from '../../core/service/dataplane-options.ts';
import { canonicalJson } from '../../core/revision.ts';
import type { DataplaneOptions, ServicePortChange, ServicePorts, Snapshot } from '../../core/service/snapshot.ts';
import type { AgentMetrics } from '../metrics/metrics.ts';
import type { AffinityMemory } from '../../core/service/affinity.ts';
import type { KubeProxyOnNode } from '../switch/kube-proxy.ts';
import type { AffinityImport, Dataplane, Difference, SyncReport } from '../../kernel/dataplane.ts';

export interface ProgrammedModeParts {
  /** The node's own addresses and CIDRs, as they are now. */
  readonly network: () => NodeNetwork;
  readonly metrics: Pick<AgentMetrics, 'startSync'>;
}

/**
 * A data plane that stands in the kernel and follows the Services as one configuration says: incrementally, or as a whole
 * after any failure and whenever its options change.
 */
export class ProgrammedMode {
  readonly dataplane: Dataplane;
  readonly #network: () => NodeNetwork;
  readonly #metrics: ProgrammedModeParts['metrics'];
  #config: RenderedConfig;
  #options: DataplaneOptions;
  #addresses: readonly string[];
  #isStale = true;
  /** Counts what was heard of: what the kernel is made to hold while more is heard may be old when it is done. */
  #marks = 0;
  #isJoined = false;
  /** Of this process; before that the data plane cannot know what there is to change. */
  #hasFollowed = false;
  #isWriting = false;
  #isLeaving = false;

  constructor(dataplane: Dataplane, config: RenderedConfig, { network, metrics }: ProgrammedModeParts) {
    this.dataplane = dataplane;
    this.#network = network;
    this.#metrics = metrics;
    this.#config = config;
    this.#options = resolveOptions(config, network());
    this.#addresses = network().localAddresses;
  }

  /** The kernel may not hold what it should; the next `follow` looks and repairs. */
  get isStale(): boolean {
    return this.#isStale;
  }

  /** What others change of its rules is to be noticed. What goes while we take the mode away is nobody's fault. */
  get isGuarded(): boolean {
    return !this.#isLeaving && (!this.#isStale || this.#isWriting);
  }

  /**
   * Whether it follows by itself. A mode that is being put beside another does so only once it was whole: until then it
   * lacks what the other remembers, and must not take packets.
   */
  get isJoined(): boolean {
    return this.#isJoined;
  }

  /** It serves already. */
  join(): this {
    this.#isJoined = true;
    return this;
  }

  /** The kernel holds what an earlier life wrote, and that is taken to be right; nothing may be followed on top of it. */
  trust(): void {
    this.#isStale = false;
  }

  /** The kernel may not hold what it should, also where that is being written: it is looked at again then. */
  markStale(): void {
    this.#isStale = true;
    this.#marks += 1;
  }

  /** From now on it follows this configuration; the next `follow` brings the kernel to it. */
  configure(config: RenderedConfig): void {
    this.#config = config;
    this.refreshNetwork();
  }

  /** The node's addresses or CIDRs may have changed. */
  refreshNetwork(): void {
    const network = this.#network();
    const options = resolveOptions(this.#config, network);
    const isMoved = this.dataplane.followsNodeAddresses === true && !isEqual(network.localAddresses, this.#addresses);
    if (!isMoved && isEqual(options, this.#options)) return;
    this.#options = options;
    this.#addresses = network.localAddresses;
    this.markStale();
  }

  /** Takes its rules out of the kernel. Throws what the data plane throws; then it is stale, and follows and is guarded as before. */
  async remove(): Promise<void> {
    this.#isLeaving = true;
    try {
      await this.dataplane.remove();
    } catch (error) {
      this.#isLeaving = false;
      this.markStale();
      throw error;
    }
  }

  /**
   * Brings the kernel to these Services; where it does not take the changes it may hold something else than was thought, and
   * is read back at once. Throws what the data plane throws; then it is stale and `follow` may be called again.
   */
  async follow(servicePorts: ServicePorts, changes: readonly ServicePortChange[]): Promise<SyncReport> {
    if (!this.#isStale && changes.length === 0) return { written: 0, removed: 0 };
    const isWhole = this.#isStale;
    const marks = this.#marks;
    const snapshot = this.#snapshot(servicePorts);
    this.#isStale = true;
    this.#isWriting = true;
    const finish = this.#metrics.startSync(this.dataplane.mode, isWhole ? 'full' : 'partial');
    try {
      const report = isWhole ? await this.dataplane.sync(snapshot) : await this.dataplane.update(snapshot, changes);
      this.#isStale = this.#marks !== marks;
      this.#isJoined = true;
      this.#hasFollowed = true;
      finish(report);
      return report;
    } catch (error) {
      finish(error as Error);
      if (isWhole) throw error;
    } finally {
      this.#isWriting = false;
    }
    return this.follow(servicePorts, []);
  }

  /**
   * Remembers what `old` remembers of clients with session affinity, as far as both can; nothing where one of them cannot.
   * May be called before the first `follow`, so that the first packet is remembered, and again for what came meanwhile.
   */
  async takeAffinityFrom(old: ProgrammedMode, servicePorts: ServicePorts): Promise<AffinityImport> {
    return this.#remember(await old.dataplane.exportAffinity?.(old.#snapshot(servicePorts)), servicePorts);
  }

  /** Remembers what kube-proxy remembers; likewise. */
  async takeAffinityOf(kubeProxy: KubeProxyOnNode, servicePorts: ServicePorts): Promise<AffinityImport> {
    return this.#remember(await kubeProxy.exportAffinity(this.#snapshot(servicePorts)), servicePorts);
  }

  /** kube-proxy remembers what this mode remembers. */
  async giveAffinityTo(kubeProxy: KubeProxyOnNode, servicePorts: ServicePorts): Promise<AffinityImport> {
    const snapshot = this.#snapshot(servicePorts);
    const memory = await this.dataplane.exportAffinity?.(snapshot);
    if (memory === undefined) return { taken: 0, leftOut: 0 };
    const { taken, leftOut } = await kubeProxy.importAffinity(snapshot, memory.entries);
    return { taken, leftOut: leftOut + memory.leftOut };
  }

  async #remember(memory: AffinityMemory | undefined, servicePorts: ServicePorts): Promise<AffinityImport> {
    if (memory === undefined || memory.entries.length === 0) return { taken: 0, leftOut: memory?.leftOut ?? 0 };
    const imported = await this.dataplane.importAffinity?.(this.#snapshot(servicePorts), memory.entries);
    const { taken, leftOut } = imported ?? { taken: 0, leftOut: memory.entries.length };
    return { taken, leftOut: leftOut + memory.leftOut };
  }

  async verify(servicePorts: ServicePorts): Promise<readonly Difference[]> {
    const marks = this.#marks;
    const differences = await this.dataplane.verify(this.#snapshot(servicePorts));
    if (differences.length > 0) this.markStale();
    // Read back and found whole, it need not be read once more for what was heard before.
    else if (this.#hasFollowed && this.#marks === marks) this.#isStale = false;
    return differences;
  }

  #snapshot(servicePorts: ServicePorts): Snapshot {
    return { options: this.#options, servicePorts };
  }
}

function isEqual(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

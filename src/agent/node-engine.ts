import type { ServicePorts } from '../core/service/snapshot.ts';
import type { RenderedConfig } from '../core/api/node-proxy-state.ts';
import { isOver } from '../core/node/mode-switch.ts';
import type { ImplementedMode } from '../core/mode.ts';
import { AnchorKeeper } from './drift/anchor-keeper.ts';
import type { Drifted } from './drift/drift-watch.ts';
import { EarlierLife } from './release/earlier-life.ts';
import type { EngineParts, EngineView } from './engine-parts.ts';
import { Handover } from './switch/handover.ts';
import { KubeProxyLeftovers } from './switch/kube-proxy-leftovers.ts';
import { Inspection } from './questions/inspection.ts';
import { Leftovers } from './release/leftovers.ts';
import { ModeSwitcher } from './switch/mode-switcher.ts';
import type { ReleasePolicy } from './release/node-release.ts';
import { ReleaseCourse } from './release/release-course.ts';
import { ServiceFollower } from './services/service-follower.ts';
import type { Target } from './target.ts';

const IDLE_MS = 3_600_000;

/**
 * The one loop that writes to the node's kernel: it follows the Services in every mode that stands there and drives the
 * switch between modes, one thing at a time, so that a change of Services during a switch reaches both modes in order.
 * It removes nothing when it ends.
 */
export class NodeEngine {
  readonly #parts: EngineParts;
  readonly #follower: ServiceFollower;
  readonly #switcher: ModeSwitcher;
  readonly #handover: Handover;
  readonly #anchor: AnchorKeeper;
  readonly #earlier: EarlierLife;
  readonly #leftovers: Leftovers;
  readonly #kubeProxyLeftovers: KubeProxyLeftovers;
  readonly #release: ReleaseCourse;
  readonly #inspection = new Inspection();
  #wake: () => void = () => undefined;
  /** The attempt after which was looked for what is left. */
  #tidiedAfter = '';

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#follower = new ServiceFollower(parts);
    this.#handover = new Handover({
      ...parts,
      servicePorts: () => (this.#follower.hasServices ? this.#follower.servicePorts : undefined),
      onChange: parts.onTransition,
    });
    const switching = { follower: this.#follower, handover: this.#handover, wake: () => this.#wake() };
    this.#switcher = new ModeSwitcher({ ...parts, ...switching });
    this.#anchor = new AnchorKeeper(parts);
    const courses = { ...parts, ...switching, switcher: this.#switcher, anchor: this.#anchor };
    this.#earlier = new EarlierLife(courses);
    this.#release = new ReleaseCourse(courses);
    this.#leftovers = new Leftovers(parts);
    this.#kubeProxyLeftovers = new KubeProxyLeftovers(parts);
  }

  /** Something in the table changed. */
  notify(): void {
    this.#follower.notify();
    this.#wake();
  }

  /** The node's own addresses or CIDRs changed. */
  refreshNetwork(): void {
    this.#follower.refreshNetwork();
    this.#wake();
  }

  guardedModes(): ImplementedMode[] {
    return this.#follower.guardedModes();
  }

  heldDataplanes(): ReturnType<ServiceFollower['held']> {
    return this.#follower.held();
  }

  /** Somebody else changed these rules: look, and send what differs. */
  repair(what: Drifted): void {
    if (what === 'anchor') this.#anchor.note();
    else this.#follower.markDrifted(what);
    this.#wake();
  }

  /** What drained has ended, well or not. */
  noteDrained(): void {
    this.#leftovers.note();
    this.#wake();
  }

  /** kube-proxy has left something, as far as somebody has seen. */
  noteLeftovers(): void {
    this.#kubeProxyLeftovers.note();
    this.#wake();
  }

  setTarget(target: Target): void {
    this.#release.cancel();
    this.#switcher.setTarget(target);
    this.#wake();
  }

  /**
   * Everything of ours is to go, until a target is set again. With `givesBack` only once kube-proxy serves, as also where it
   * is running already.
   */
  release(policy: ReleasePolicy, givesBack = false): void {
    this.#release.begin(policy, givesBack);
    this.#wake();
  }

  view(): EngineView {
    const { lastSyncMs, waitingSinceMs, error, isFromCache } = this.#follower;
    const { serving, servingSinceMs, attempt, probes } = this.#switcher;
    return {
      isStale: isFromCache,
      recalledAtMs: lastSyncMs === null ? this.#earlier.recalledAtMs : null,
      release: this.#release.view,
      handoverNote: this.#handover.note,
      serving,
      servingSinceMs,
      attempt,
      lastSyncMs,
      waitingSinceMs,
      syncError: error,
      probes,
      leftovers: this.#leftovers.sight,
    };
  }

  /** Tries again what a probe failed at last; not while a switch is under way. */
  recheckProbes(): Promise<void> {
    return this.#switcher.recheckProbes();
  }

  /** The configurations that are, or may be, in the kernel. */
  configs(): RenderedConfig[] {
    return this.#switcher.configs();
  }

  countPackets(): ReturnType<ServiceFollower['countPackets']> {
    return this.#follower.countPackets();
  }

  /** Counts over the whole snapshot, so for transitions only. */
  counts(): { readonly services: number; readonly endpoints: number } {
    let endpoints = 0;
    const { servicePorts } = this.#follower;
    for (const port of servicePorts.values()) endpoints += port.clusterBackends.length;
    return { services: servicePorts.size, endpoints };
  }

  /** Reads the kernel back in all modes that follow; what differs is then sent again. Waits for the loop to be idle. */
  inspect(): ReturnType<Inspection['request']> {
    const found = this.#inspection.request();
    this.#wake();
    return found;
  }

  /** The Services that were last handed to the kernel. */
  get servicePorts(): ServicePorts {
    return this.#follower.servicePorts;
  }

  /** Finds out what this node ran before; until then a view says nothing of it. Writes no rules. */
  recall(): Promise<void> {
    return this.#earlier.recall();
  }

  /** For a node whose API server is away, until `signal` aborts: goes on with what `recall` found and the Services read. */
  runCached(read: () => ServicePorts | undefined, signal: AbortSignal): Promise<void> {
    return this.#earlier.serveCached(read, signal, () => {
      const woken = this.#woken();
      return (dueMs) => this.#sleep(woken, dueMs, signal);
    });
  }

  /** Works until `signal` aborts. Call it once the table knows all Services and EndpointSlices. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#earlier.follow();
    while (!signal.aborted) {
      const woken = this.#woken();
      if (!(await this.#turn())) await this.#sleep(woken, this.#dueMs(), signal);
    }
    this.#release.stop();
    this.#switcher.stop();
    this.#follower.close();
  }

  /**
   * One round of work; false when there was none to do. Each round follows and goes a step, since where Services never stop
   * changing there is always something to follow.
   */
  async #turn(): Promise<boolean> {
    if (this.#release.isWanted && !this.#release.waits) return this.#release.step();
    const hasFollowed = await this.#switcher.withDeadline(
      async () => (await this.#anchor.keepOnce()) || this.#follow(),
    );
    if (this.#release.isWanted) return (await this.#release.step()) || hasFollowed;
    const hasStepped = await this.#switcher.step();
    if (hasFollowed || hasStepped || (await this.#tidy()) || (await this.#tidyKubeProxy())) return true;
    return this.#inspection.perform(async () => ({
      differences: await this.#follower.inspect(),
      leftovers: await this.#lookForLeftovers(),
    }));
  }

  async #follow(): Promise<boolean> {
    const before = this.#followed();
    if (!(await this.#follower.follow())) return false;
    if (this.#followed() !== before) this.#parts.onTransition();
    return true;
  }

  /** What a status says of following the Services, coarsely. */
  #followed(): string {
    const { error, lastSyncMs, isFromCache } = this.#follower;
    return JSON.stringify([error, lastSyncMs !== null, isFromCache]);
  }

  /** Removes rules of other modes that an earlier run left behind, once what serves is in the kernel. */
  async #tidy(): Promise<boolean> {
    const { serving } = this.#switcher;
    if (serving === null || !this.#mayTidy()) return false;
    this.#noteEnd();
    if (!(await this.#leftovers.removeOnce((mode) => this.#isKept(mode)))) return false;
    this.#parts.metrics.setServing(serving);
    this.#parts.onTransition();
    return true;
  }

  /** Whether anything is left of the other mode is looked at once more after each attempt. */
  #noteEnd(): void {
    const { attempt } = this.#switcher;
    if (attempt === null || !isOver(attempt)) return;
    const end = `${attempt.id} ${attempt.phase} ${attempt.startedAtMs}`;
    if (end !== this.#tidiedAfter) this.#leftovers.note();
    this.#tidiedAfter = end;
  }

  /** A mode stands while it serves, is to serve, or carries connections that are older than what serves. */
  #isKept(mode: ImplementedMode): boolean {
    const { drains } = this.#parts;
    return mode === this.#switcher.serving?.config.mode || this.#follower.isProgrammed(mode) || drains(mode);
  }

  /** What somebody has put back since, as from a backup of the rules. */
  async #lookForLeftovers(): Promise<readonly ImplementedMode[]> {
    return this.#mayTidy() ? this.#leftovers.look((mode) => this.#isKept(mode)) : [];
  }

  #mayTidy(): boolean {
    const { serving, attempt } = this.#switcher;
    const isWhole = serving !== null && this.#follower.error === null;
    return isWhole && attempt?.phase !== 'Failed' && !this.#release.isWanted;
  }

  /** Removes what kube-proxy left behind, whenever it does not run and we serve. */
  async #tidyKubeProxy(): Promise<boolean> {
    const { serving } = this.#switcher;
    return serving !== null && this.#mayTidyKubeProxy() && this.#kubeProxyLeftovers.removeOnce(serving.config);
  }

  #mayTidyKubeProxy(): boolean {
    const { attempt } = this.#switcher;
    const isChanging = attempt !== null && !isOver(attempt);
    return this.#mayTidy() && this.#follower.hasServices && !isChanging;
  }

  #dueMs(): number {
    return Math.min(
      this.#release.dueMs,
      this.#follower.retryAtMs ?? Infinity,
      this.#switcher.dueMs(),
      this.#anchor.dueMs,
      this.#mayTidy() ? this.#leftovers.dueMs : Infinity,
      this.#mayTidyKubeProxy() ? this.#kubeProxyLeftovers.dueMs : Infinity,
    );
  }

  #woken(): Promise<void> {
    return new Promise<void>((resolve) => (this.#wake = resolve));
  }

  async #sleep(woken: Promise<void>, dueMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const delayMs = Math.min(IDLE_MS, Math.max(0, dueMs - clock.monotonicMs()));
    const timeout = new AbortController();
    await Promise.race([woken, clock.sleep(delayMs, AbortSignal.any([signal, timeout.signal]))]);
    timeout.abort();
  }
}

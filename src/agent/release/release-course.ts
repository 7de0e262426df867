import { isGone } from '../../core/kube-proxy/kube-proxy.ts';
import { isOver } from '../../core/node/mode-switch.ts';
import { Backoff } from '../../support/backoff.ts';
import type { AnchorKeeper } from '../drift/anchor-keeper.ts';
import type { EngineParts, EngineView } from '../engine-parts.ts';
import type { Handover } from '../switch/handover.ts';
import type { ModeSwitcher } from '../switch/mode-switcher.ts';
import type { ReleasePolicy } from './node-release.ts';
import type { ServiceFollower } from '../services/service-follower.ts';
import { giveAffinityToKubeProxy } from '../switch/switch-steps.ts';

const RETURN_ATTEMPT = 'before-kube-proxy';

export type ReleaseCourseParts = Pick<
  EngineParts,
  'kubeProxy' | 'missingFor' | 'release' | 'clock' | 'log' | 'onTransition'
> & {
  readonly follower: ServiceFollower;
  readonly switcher: ModeSwitcher;
  readonly handover: Handover;
  readonly anchor: AnchorKeeper;
  /** There is work again. */
  readonly wake: () => void;
};

interface Release extends NonNullable<EngineView['release']> {
  readonly policy: ReleasePolicy;
  /** Monotonic; null before the first try and once it is done. */
  readonly retryAtMs: number | null;
  /** kube-proxy is to serve first; meanwhile ours goes on. */
  readonly waits: boolean;
}

/** The way out of a node, while it is wanted: kube-proxy first where it is to serve, then everything of ours goes. */
export class ReleaseCourse {
  readonly #parts: ReleaseCourseParts;
  readonly #retry = new Backoff({ firstMs: 1_000, maxMs: 60_000 });
  /** Ends the wait for kube-proxy. */
  #return = new AbortController();
  #isLeavingIpvs = false;
  #release: Release | null = null;

  constructor(parts: ReleaseCourseParts) {
    this.#parts = parts;
  }

  get view(): EngineView['release'] {
    return this.#release;
  }

  get isWanted(): boolean {
    return this.#release !== null;
  }

  /** Whether ours goes on serving. */
  get waits(): boolean {
    return this.#release?.waits === true;
  }

  /** When there is something to do again without being woken, monotonic; Infinity when there is not. */
  get dueMs(): number {
    return this.#release?.retryAtMs ?? Infinity;
  }

  /** With `givesBack` only once kube-proxy serves, as also where it is running already. */
  begin(policy: ReleasePolicy, givesBack: boolean): void {
    if (this.#release?.policy === policy) return;
    const { switcher, kubeProxy } = this.#parts;
    switcher.setTarget(null);
    switcher.stop();
    const waits = givesBack || !isGone(kubeProxy.sight());
    this.#release = { policy, isDone: false, problem: null, retryAtMs: null, waits };
    if (waits) this.#isLeavingIpvs = true;
  }

  /** The node is wanted again. */
  cancel(): void {
    this.stop();
    this.#isLeavingIpvs = false;
    if (this.#release !== null) this.#parts.handover.keepPorts();
    this.#release = null;
  }

  /** Ends what goes on beside the loop. */
  stop(): void {
    this.#return.abort();
  }

  /** False when there is nothing to do now. */
  async step(): Promise<boolean> {
    if (this.#release === null) return false;
    if (!this.#release.waits) return this.#releaseOnce(this.#release);
    return this.#isLeavingIpvs && this.#leaveIpvs();
  }

  /**
   * kube-proxy shares its virtual servers with nobody: in IPVS mode it takes ours for its own, in nftables mode it begins
   * with removing them all. So a node in IPVS mode changes to another one before kube-proxy comes back.
   */
  async #leaveIpvs(): Promise<boolean> {
    const { switcher, missingFor } = this.#parts;
    const { serving, attempt } = switcher;
    const hasFailed = attempt?.id === RETURN_ATTEMPT && isOver(attempt);
    if (serving === null || serving.config.mode !== 'ipvs' || hasFailed) {
      this.#isLeavingIpvs = false;
      this.#awaitReturn();
      return true;
    }
    if (attempt?.id !== RETURN_ATTEMPT) {
      const nftables = { ...serving.config, mode: 'nftables' as const };
      const config = (await missingFor(nftables)).length === 0 ? nftables : { ...nftables, mode: 'iptables' as const };
      switcher.abandon();
      const revision = `return-${serving.revision}`.slice(0, 64);
      switcher.setTarget({ serving: { revision, config }, attemptId: RETURN_ATTEMPT, allowedMs: null });
    }
    return switcher.step();
  }

  #awaitReturn(): void {
    this.stop();
    this.#return = new AbortController();
    const { signal } = this.#return;
    void this.#parts.handover.untilReturned(signal).then(() => {
      if (signal.aborted || this.#release === null) return;
      this.#release = { ...this.#release, waits: false };
      this.#parts.wake();
    });
  }

  async #releaseOnce(release: Release): Promise<boolean> {
    const { clock, log, onTransition, follower, anchor, switcher } = this.#parts;
    if (release.isDone || clock.monotonicMs() < (release.retryAtMs ?? 0)) return false;
    await this.#handAffinityOver();
    follower.dropAll();
    anchor.forget();
    switcher.abandon();
    const failures = await this.#parts.release(release.policy);
    const isDone = failures.length === 0;
    if (isDone) {
      switcher.forget();
      this.#retry.reset();
    } else log.error({ problem: failures.join('; ') }, 'this node cannot be released completely; trying again');
    const retryAtMs = isDone ? null : clock.monotonicMs() + this.#retry.nextMs();
    const problem = isDone ? null : failures.join('; ');
    if (this.#release === release) this.#release = { ...release, isDone, problem, retryAtMs };
    onTransition();
    return true;
  }

  /** To kube-proxy, where it has come back. */
  async #handAffinityOver(): Promise<void> {
    const { kubeProxy, log, follower, switcher } = this.#parts;
    const { serving, attempt } = switcher;
    const standing = [serving, attempt?.to].find((each) => each && follower.isProgrammed(each.config.mode));
    if (!standing || isGone(kubeProxy.sight())) return;
    const ground = { kubeProxy, log, servicePorts: () => follower.servicePorts };
    await giveAffinityToKubeProxy(follower.open(standing), ground);
  }
}

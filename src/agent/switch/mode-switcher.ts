import type { Resumption } from '../../core/node/agent-state.ts';
import type { RenderedConfig } from '../../core/api/node-proxy-state.ts';
import {
  advance,
  exceed,
  expire,
  goBackAgain,
  isInBackground,
  deadlineOf,
  isOver,
  startAttempt,
  type Attempt,
  type AttemptEvent,
  type Serving,
} from '../../core/node/mode-switch.ts';
import { isGone } from '../../core/kube-proxy/kube-proxy.ts';
import type { ProbeOutcome } from '../../core/node/probe-result.ts';
import { Backoff } from '../../support/backoff.ts';
import { BackgroundStep } from '../background-step.ts';
import type { EngineParts } from '../engine-parts.ts';
import type { Handover } from './handover.ts';
import { RollbackRetry } from './rollback-retry.ts';
import type { ServiceFollower } from '../services/service-follower.ts';
import { withDeadline } from './step-deadline.ts';
import { performStep, type SwitchGround } from './switch-steps.ts';
import type { Target } from '../target.ts';

export type SwitcherParts = Pick<
  EngineParts,
  | 'clock'
  | 'log'
  | 'metrics'
  | 'kubeProxy'
  | 'missingFor'
  | 'ensureAnchor'
  | 'settings'
  | 'probe'
  | 'stateFile'
  | 'onTransition'
  | 'onStuck'
> & {
  readonly follower: ServiceFollower;
  readonly handover: Handover;
  /** There is work again. */
  readonly wake: () => void;
};

/** Brings the node from what serves to what is wanted, one step of one attempt at a time, each noted on disk before it is done. */
export class ModeSwitcher {
  readonly #parts: SwitcherParts;
  readonly #ground: SwitchGround;
  readonly #retry = new Backoff({ firstMs: 1_000, maxMs: 60_000 });
  readonly #background: BackgroundStep;
  #target: Target | null = null;
  #serving: Serving | null = null;
  #servingSinceMs = 0;
  #attempt: Attempt | null = null;
  #retryAtMs: number | null = null;
  readonly #rollbackRetry: RollbackRetry;
  #probes: readonly ProbeOutcome[] = [];

  constructor(parts: SwitcherParts) {
    this.#parts = parts;
    const { follower, settings } = parts;
    this.#rollbackRetry = new RollbackRetry(parts.clock);
    this.#background = new BackgroundStep(parts.wake);
    this.#ground = {
      open: (serving) => follower.open(serving),
      drop: (mode) => follower.drop(mode),
      servicePorts: () => follower.servicePorts,
      missingFor: parts.missingFor,
      ensureAnchor: parts.ensureAnchor,
      prepare: (config) => settings.prepare(config),
      unprepare: (from, to) => settings.goBack(from, to),
      probe: (config) => this.#probe(config),
      kubeProxy: parts.kubeProxy,
      handover: parts.handover,
      clock: parts.clock,
      log: parts.log,
    };
  }

  get serving(): Serving | null {
    return this.#serving;
  }

  get servingSinceMs(): number {
    return this.#servingSinceMs;
  }

  /** The attempt under way, or the last one. */
  get attempt(): Attempt | null {
    return this.#attempt;
  }

  /** What the probes said last. */
  get probes(): readonly ProbeOutcome[] {
    return this.#probes;
  }

  /** The configurations that are, or may be, in the kernel. */
  configs(): RenderedConfig[] {
    const { from, to } = this.#attempt ?? {};
    return [this.#serving, from, to].flatMap((each) => each?.config ?? []);
  }

  /** When there is something to do again without being woken, monotonic; Infinity when there is not. */
  dueMs(): number {
    if (this.#attempt?.phase === 'RollingBack') return this.#rollbackRetry.dueMs;
    return Math.min(this.#retryDueMs(), this.#deadlineMs());
  }

  setTarget(target: Target | null): void {
    this.#target = target;
  }

  /** What an earlier life of this agent left. */
  resume({ serving, attempt }: Resumption, servingSinceMs: number): void {
    this.#serving = serving;
    this.#attempt = attempt;
    this.#servingSinceMs = servingSinceMs;
  }

  /** This serves, and was not brought about by an attempt. */
  adopt(serving: Serving): void {
    this.#serving = serving;
  }

  /** No attempt is under way any more, as far as it had come. */
  abandon(): void {
    this.stop();
    this.#attempt = null;
    this.#retryAtMs = null;
    this.#rollbackRetry.reset();
  }

  /** Ends what goes on beside the loop. */
  stop(): void {
    this.#background.stop();
  }

  /** Nothing of ours serves any more. */
  forget(): void {
    this.#serving = null;
  }

  /** Does the next step towards the target; false when there is none to do now. */
  async step(): Promise<boolean> {
    if (!this.#parts.follower.hasServices) return false;
    this.#begin();
    this.#resumeWayBack();
    if (this.#attempt === null || isOver(this.#attempt)) return false;
    const { clock, log } = this.#parts;
    const current = expire(this.#attempt, clock.now());
    if (isInBackground(current)) return this.#stepInBackground(current);
    if (current.phase === 'RollingBack' && clock.monotonicMs() < this.#rollbackRetry.dueMs) return false;
    // Nobody waits for its end any more.
    this.#background.stop();
    this.#keep(current);
    const { id, phase, from, to } = current;
    log.info({ attempt: id, phase, from: from?.config.mode, to: to.config.mode, revision: to.revision }, 'switch step');
    const deadlineMs = this.#deadlineMs();
    const event = await withDeadline(this.#parts, deadlineMs, () => performStep(current, this.#ground));
    const isCutShort = event.kind === 'stepFailed' && clock.monotonicMs() >= deadlineMs;
    this.#conclude(current, event, isCutShort);
    return true;
  }

  /** Does what writes to the kernel; past the deadline of the attempt under way it is brought to its end. */
  withDeadline<T>(work: () => Promise<T>): Promise<T> {
    return withDeadline(this.#parts, this.#deadlineMs(), work);
  }

  /** False while it goes on. */
  #stepInBackground(current: Attempt): boolean {
    if (current !== this.#attempt) this.#keep(current);
    const event = this.#background.take(current, (signal) => performStep(current, this.#ground, signal));
    if (event === undefined) return false;
    this.#conclude(current, event);
    return true;
  }

  #conclude(current: Attempt, event: AttemptEvent, isCutShort = false): void {
    const { clock, log } = this.#parts;
    const { id, phase } = current;
    if (event.kind === 'stepFailed')
      log.error({ attempt: id, phase, code: event.code, problem: event.message }, 'switch step failed');
    const next = this.#next(current, event, isCutShort);
    if (next.phase === 'Committed') this.#commit(next);
    else if (isOver(next)) this.#retryAtMs = clock.monotonicMs() + this.#retry.nextMs();
    this.#keep(next);
  }

  #next(current: Attempt, event: AttemptEvent, isCutShort: boolean): Attempt {
    if (event.kind === 'stepFailed' && isCutShort) return exceed(current, event.message);
    return advance(current, current.phase === 'RollingBack' ? this.#rollbackRetry.judge(event) : event);
  }

  async #probe(config: RenderedConfig): Promise<readonly ProbeOutcome[]> {
    const { probe, follower } = this.#parts;
    this.#probes = await probe(config, () => follower.servicePorts);
    return this.#probes;
  }

  /**
   * Tries again what failed last, or was never tried in this life of the agent, unless a switch is under way: what is said of
   * it must not outlive the trouble.
   */
  async recheckProbes(): Promise<void> {
    const config = this.#serving?.config;
    const mustTry = this.#probes.length === 0 || this.#probes.some(({ result }) => result === 'Fail');
    const isBusy = () => this.#attempt !== null && !isOver(this.#attempt);
    if (config === undefined || !mustTry || !this.#parts.follower.hasServices || isBusy()) return;
    const { probe, follower, onTransition } = this.#parts;
    const probes = await probe(config, () => follower.servicePorts);
    if (isBusy()) return;
    this.#probes = probes;
    onTransition();
  }

  /** A way back that failed is tried again now and then, until it succeeds or something else is wanted. */
  #resumeWayBack(): void {
    if (this.#attempt?.phase !== 'Failed' || this.#parts.clock.monotonicMs() < this.#retryDueMs()) return;
    this.#attempt = goBackAgain(this.#attempt);
    this.#retryAtMs = null;
  }

  /** A target that differs from what serves starts an attempt, unless that same attempt has been made and failed. */
  #begin(): void {
    const target = this.#target;
    if (target === null || (this.#attempt !== null && !isOver(this.#attempt))) return;
    const { serving: to, attemptId: id, allowedMs, handoverBy } = target;
    if (to.revision === this.#serving?.revision) return;
    const isSpent = this.#attempt?.id === id && this.#attempt.to.revision === to.revision;
    if (isSpent && (this.#serving !== null || !this.#mayTryAgain())) return;
    this.#retryAtMs = null;
    this.#parts.handover.keepPorts();
    const nowMs = this.#parts.clock.now();
    const deadlineAtMs = allowedMs === null ? null : nowMs + allowedMs;
    this.#attempt = startAttempt({ id, from: this.#serving, to, nowMs, deadlineAtMs, handoverBy });
  }

  /** The controller decides when a node that kube-proxy serves is tried again. */
  #mayTryAgain(): boolean {
    const { clock, kubeProxy } = this.#parts;
    if (clock.monotonicMs() < this.#retryDueMs()) return false;
    const isKept = this.#attempt?.takesOver === true && this.#attempt.handoverBy === 'controller';
    if (!isKept || isGone(kubeProxy.sight())) return true;
    this.#retryAtMs = clock.monotonicMs() + this.#retry.nextMs();
    return false;
  }

  #commit({ id, to }: Attempt): void {
    const { clock, log, metrics, follower } = this.#parts;
    this.#serving = to;
    this.#servingSinceMs = clock.now();
    this.#retry.reset();
    this.#retryAtMs = null;
    follower.markSynced(true);
    metrics.setServing(to);
    log.info({ attempt: id, mode: to.config.mode, revision: to.revision }, 'the node serves in the wanted mode');
  }

  #keep(attempt: Attempt): void {
    this.#attempt = attempt;
    try {
      this.#parts.stateFile.write({
        version: 1,
        serving: this.#serving,
        servingSinceMs: this.#servingSinceMs,
        attempt,
      });
    } catch (error) {
      this.#parts.log.error({ problem: (error as Error).message }, 'cannot save the state on disk; check --state-dir');
    }
    this.#parts.onTransition();
  }

  /**
   * When an attempt that failed may be made again, or a way back that did, monotonic. With nothing to go back to there is
   * nothing to lose by trying on, at growing intervals; where something serves, never: the next attempt is somebody's decision.
   */
  #retryDueMs(): number {
    const mayRetry = this.#serving === null || this.#attempt?.phase === 'Failed';
    return mayRetry ? (this.#retryAtMs ?? Infinity) : Infinity;
  }

  /** When the attempt under way turns back, monotonic. */
  #deadlineMs(): number {
    const { clock } = this.#parts;
    if (this.#attempt === null || isOver(this.#attempt)) return Infinity;
    return clock.monotonicMs() + deadlineOf(this.#attempt) - clock.now();
  }
}

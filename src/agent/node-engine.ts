import { resume } from '../core/agent-state.ts';
import type { RenderedConfig } from '../core/api/node-proxy-state.ts';
import {
  advance,
  expire,
  isInBackground,
  isOver,
  isPastCommit,
  startAttempt,
  type Attempt,
  type AttemptEvent,
  type Serving,
} from '../core/mode-switch.ts';
import { Backoff } from '../support/backoff.ts';
import type { ImplementedMode } from '../core/mode.ts';
import type { ProbeOutcome } from '../core/probe-result.ts';
import { BackgroundStep } from './background-step.ts';
import type { ServicePorts } from './programmed-mode.ts';
import { presentModes, removeMode } from './leftovers.ts';
import { ServiceFollower, type FollowerParts } from './service-follower.ts';
import type { ReleasePolicy } from './node-release.ts';
import type { StateFile } from './state-file.ts';
import { performStep, type SwitchGround } from './switch-steps.ts';
import type { Target } from './target.ts';

/** What the engine does, for status, health and logs. */
export interface EngineView {
  readonly serving: Serving | null;
  readonly servingSinceMs: number;
  readonly attempt: Attempt | null;
  readonly lastSyncMs: number | null;
  readonly waitingSinceMs: number | null;
  readonly syncError: string | null;
  /** What the probes said last. */
  readonly probes: readonly ProbeOutcome[];
  /** The kernel holds Services of an earlier life, and nothing newer has been heard. */
  readonly isStale: boolean;
  /** Null unless everything of ours is to be taken out of this node. */
  readonly release: { readonly isDone: boolean; readonly problem: string | null } | null;
}

export interface EngineParts extends FollowerParts {
  readonly missingFor: SwitchGround['missingFor'];
  readonly ensureAnchor: SwitchGround['ensureAnchor'];
  /** Modules and kernel settings. */
  readonly settings: EngineSettings;
  /** Takes everything of ours out of this node; returns what could not be. */
  readonly release: (policy: ReleasePolicy) => Promise<readonly string[]>;
  readonly probe: (servicePorts: () => ServicePorts) => Promise<readonly ProbeOutcome[]>;
  readonly stateFile: StateFile;
  /** A step of a switch was begun or ended, or the kernel began or ceased to take the rules. */
  readonly onTransition: () => void;
}

export interface EngineSettings {
  /** Brings the node to the settings of what serves, whatever of them works. */
  resume(config: RenderedConfig): Promise<void>;
  prepare: SwitchGround['prepare'];
  goBack: SwitchGround['unprepare'];
}

interface Release extends NonNullable<EngineView['release']> {
  readonly policy: ReleasePolicy;
}

const IDLE_MS = 3_600_000;

/**
 * The one loop that writes to the node's kernel: it follows the Services in every mode that stands there and drives the
 * switch between modes, one thing at a time, so that a change of Services during a switch reaches both modes in order.
 * It removes nothing when it ends.
 */
export class NodeEngine {
  readonly #parts: EngineParts;
  readonly #follower: ServiceFollower;
  readonly #ground: SwitchGround;
  readonly #retry = new Backoff({ firstMs: 1_000, maxMs: 60_000 });
  #target: Target | null = null;
  #release: Release | null = null;
  #serving: Serving | null = null;
  #servingSinceMs = 0;
  #attempt: Attempt | null = null;
  #retryAtMs: number | null = null;
  #mustTidy = true;
  #probes: readonly ProbeOutcome[] = [];
  readonly #background = new BackgroundStep(() => this.#wake());
  #wake: () => void = () => undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    const follower = new ServiceFollower(parts);
    this.#follower = follower;
    this.#ground = {
      open: (serving) => follower.open(serving),
      drop: (mode) => follower.drop(mode),
      servicePorts: () => follower.servicePorts,
      missingFor: parts.missingFor,
      ensureAnchor: parts.ensureAnchor,
      prepare: (config) => parts.settings.prepare(config),
      unprepare: (from, to) => parts.settings.goBack(from, to),
      probe: () => this.#probe(),
      clock: parts.clock,
      log: parts.log,
    };
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

  guardedModes(): ReturnType<ServiceFollower['guardedModes']> {
    return this.#follower.guardedModes();
  }

  /** Somebody else changed this mode's rules: look, and send what differs. */
  repair(mode: ImplementedMode): void {
    this.#follower.markDrifted(mode);
    this.#wake();
  }

  setTarget(target: Target): void {
    this.#target = target;
    this.#release = null;
    this.#wake();
  }

  /** Everything of ours is to go, until a target is set again. */
  release(policy: ReleasePolicy): void {
    if (this.#release?.policy === policy) return;
    this.#target = null;
    this.#retryAtMs = null;
    this.#release = { policy, isDone: false, problem: null };
    this.#wake();
  }

  view(): EngineView {
    const { lastSyncMs, waitingSinceMs, error, isFromCache } = this.#follower;
    return {
      isStale: isFromCache,
      release: this.#release,
      serving: this.#serving,
      servingSinceMs: this.#servingSinceMs,
      attempt: this.#attempt,
      lastSyncMs,
      waitingSinceMs,
      syncError: error,
      probes: this.#probes,
    };
  }

  /** The configurations that are, or may be, in the kernel. */
  configs(): RenderedConfig[] {
    const { from, to } = this.#attempt ?? {};
    return [this.#serving, from, to].flatMap((each) => each?.config ?? []);
  }

  /** Counts over the whole snapshot, so for transitions only. */
  counts(): { readonly services: number; readonly endpoints: number } {
    let endpoints = 0;
    const { servicePorts } = this.#follower;
    for (const port of servicePorts.values()) endpoints += port.clusterBackends.length;
    return { services: servicePorts.size, endpoints };
  }

  /** Works until `signal` aborts. Call it once the table knows all Services and EndpointSlices. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#recover();
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      if (!(await this.#turn())) await this.#waitFor(woken, signal);
    }
    this.#follower.close();
  }

  /**
   * For a node that was started anew while the API server is away: what served, with the Services that were known last.
   * Does nothing where the kernel has the rules still, since those are newer. Returns whether it programmed.
   */
  async programCached(read: () => ServicePorts | undefined): Promise<boolean> {
    const { createDataplane, log, stateFile, settings, ensureAnchor, onTransition } = this.#parts;
    const present = await presentModes(createDataplane, log);
    const { serving } = resume(stateFile.read(), present);
    if (serving === null || present.includes(serving.config.mode)) return false;
    const servicePorts = read();
    if (servicePorts === undefined) return false;
    await settings.resume(serving.config);
    await ensureAnchor();
    const error = await this.#follower.followCached(serving, servicePorts);
    if (error !== null) return false;
    this.#serving = serving;
    log.warn({ mode: serving.config.mode, services: servicePorts.size }, 'serves what was known last; it may be stale');
    onTransition();
    return true;
  }

  async #recover(): Promise<void> {
    const present = await presentModes(this.#parts.createDataplane, this.#parts.log);
    const disk = this.#parts.stateFile.read();
    const { serving, attempt } = resume(disk, present);
    this.#serving = serving;
    this.#attempt = attempt;
    this.#servingSinceMs = disk.servingSinceMs;
    const standing = attempt !== null && isPastCommit(attempt) ? attempt.to : serving;
    if (standing !== null) {
      await this.#parts.settings.resume(standing.config);
      this.#follower.open(standing);
    }
    this.#parts.log.info(
      { present, mode: serving?.config.mode, revision: serving?.revision, attempt: attempt?.id, phase: attempt?.phase },
      'found what this node ran before',
    );
  }

  /** One piece of work; false when there is none to do now. */
  async #turn(): Promise<boolean> {
    if (this.#release !== null) return this.#releaseOnce(this.#release);
    const errorBefore = this.#follower.error;
    const wasSynced = this.#follower.lastSyncMs !== null;
    if (await this.#follower.follow()) {
      const isSynced = this.#follower.lastSyncMs !== null;
      if (errorBefore !== this.#follower.error || wasSynced !== isSynced) this.#parts.onTransition();
      return true;
    }
    return (await this.#stepAttempt()) || (await this.#tidy());
  }

  async #releaseOnce(release: Release): Promise<boolean> {
    const { clock, log, onTransition } = this.#parts;
    if (release.isDone || clock.monotonicMs() < (this.#retryAtMs ?? 0)) return false;
    this.#follower.dropAll();
    this.#attempt = null;
    const failures = await this.#parts.release(release.policy);
    const isDone = failures.length === 0;
    if (isDone) this.#serving = null;
    else log.error({ problem: failures.join('; ') }, 'this node cannot be released completely; trying again');
    this.#retryAtMs = isDone ? null : clock.monotonicMs() + this.#retry.nextMs();
    if (this.#release === release) this.#release = { ...release, isDone, problem: isDone ? null : failures.join('; ') };
    onTransition();
    return true;
  }

  async #stepAttempt(): Promise<boolean> {
    if (!this.#follower.hasServices) return false;
    this.#beginAttempt();
    if (this.#attempt === null || isOver(this.#attempt)) return false;
    const { clock, log } = this.#parts;
    const current = expire(this.#attempt, clock.now());
    if (isInBackground(current)) return this.#stepInBackground(current);
    this.#keep(current);
    const { id, phase, from, to } = current;
    log.info({ attempt: id, phase, from: from?.config.mode, to: to.config.mode, revision: to.revision }, 'switch step');
    this.#conclude(current, await performStep(current, this.#ground));
    return true;
  }

  /** False while it goes on. */
  #stepInBackground(current: Attempt): boolean {
    const event = this.#background.take(current, () => performStep(current, this.#ground));
    if (event === undefined) return false;
    this.#conclude(current, event);
    return true;
  }

  #conclude(current: Attempt, event: AttemptEvent): void {
    const { clock, log } = this.#parts;
    const { id, phase } = current;
    const next = advance(current, event);
    if (event.kind === 'stepFailed')
      log.error({ attempt: id, phase, code: event.code, problem: event.message }, 'switch step failed');
    if (next.phase === 'Committed') this.#commit(next);
    else if (isOver(next)) this.#retryAtMs = clock.monotonicMs() + this.#retry.nextMs();
    this.#keep(next);
  }

  async #probe(): Promise<readonly ProbeOutcome[]> {
    this.#probes = await this.#parts.probe(() => this.#follower.servicePorts);
    return this.#probes;
  }

  /** A target that differs from what serves starts an attempt, unless that same attempt has been made and failed. */
  #beginAttempt(): void {
    const target = this.#target;
    if (target === null || (this.#attempt !== null && !isOver(this.#attempt))) return;
    const { serving: to, attemptId: id, allowedMs } = target;
    if (to.revision === this.#serving?.revision) return;
    const isSpent = this.#attempt?.id === id && this.#attempt.to.revision === to.revision;
    if (isSpent && !this.#mayTryAgain()) return;
    this.#retryAtMs = null;
    const nowMs = this.#parts.clock.now();
    const deadlineAtMs = allowedMs === null ? null : nowMs + allowedMs;
    this.#attempt = startAttempt({ id, from: this.#serving, to, nowMs, deadlineAtMs });
  }

  /** With nothing to go back to there is nothing to lose by trying on, at growing intervals. */
  #mayTryAgain(): boolean {
    return this.#serving === null && this.#parts.clock.monotonicMs() >= (this.#retryAtMs ?? 0);
  }

  #commit({ id, to }: Attempt): void {
    const { clock, log, metrics } = this.#parts;
    this.#serving = to;
    this.#servingSinceMs = clock.now();
    this.#retry.reset();
    this.#retryAtMs = null;
    this.#follower.markSynced(true);
    metrics.setServing(to);
    log.info({ attempt: id, mode: to.config.mode, revision: to.revision }, 'the node serves in the wanted mode');
  }

  /** Removes rules of other modes that an earlier run left behind, once what serves is in the kernel. */
  async #tidy(): Promise<boolean> {
    const serving = this.#serving;
    const isFailed = this.#attempt?.phase === 'Failed';
    if (!this.#mustTidy || serving === null || isFailed || this.#follower.error !== null) return false;
    this.#mustTidy = false;
    this.#parts.metrics.setServing(serving);
    const { createDataplane, log } = this.#parts;
    for (const mode of await presentModes(createDataplane, log)) {
      if (mode === serving.config.mode || this.#follower.isProgrammed(mode)) continue;
      try {
        await removeMode(mode, createDataplane);
        log.info({ mode }, 'removed rules that an earlier run left behind');
      } catch (error) {
        log.warn({ mode, problem: (error as Error).message }, 'cannot remove rules that an earlier run left behind');
      }
    }
    return true;
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

  /** When the attempt under way turns back, monotonic. */
  #deadlineMs(): number {
    const { clock } = this.#parts;
    if (this.#attempt === null || isOver(this.#attempt) || this.#attempt.deadlineAtMs === null) return Infinity;
    return clock.monotonicMs() + this.#attempt.deadlineAtMs - clock.now();
  }

  async #waitFor(woken: Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const dueMs = Math.min(this.#retryAtMs ?? Infinity, this.#follower.retryAtMs ?? Infinity, this.#deadlineMs());
    const delayMs = Math.min(IDLE_MS, Math.max(0, dueMs - clock.monotonicMs()));
    const timeout = new AbortController();
    await Promise.race([woken, clock.sleep(delayMs, AbortSignal.any([signal, timeout.signal]))]);
    timeout.abort();
  }
}

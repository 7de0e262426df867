import { IMPLEMENTED_MODES, type ImplementedMode } from '../../core/mode.ts';
import type { Dataplane } from '../../kernel/dataplane.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';

/** A change that nobody tells of is noticed within so long; sooner where a look costs little. */
const LONGEST_PAUSE_MS = 2_500;
const SHORTEST_PAUSE_MS = 1_000;
/** Looking takes one part of time in so many. */
const PAUSE_PER_LOOK = 50;
/** How often a glance is taken that costs next to nothing, where a mode has one. */
const GLANCE_MS = 100;
/** What it leads to takes at most one part of time in so many. */
const PAUSE_PER_CLOSER_LOOK = 10;
/** Addresses that go together are looked for together. */
const SETTLE_MS = 10;

type Held = Pick<Dataplane, 'mode' | 'isIntact' | 'glance'>;

export interface DriftPollParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The modes whose rules stand in the kernel now. */
  readonly held: () => readonly Held[];
  /** Calls back when somebody else may have taken an address away that IPVS mode has bound; ends with the signal. */
  readonly watchBound: (onLoss: () => void, signal: AbortSignal) => Promise<void>;
  /** Somebody else changed this mode's rules. */
  readonly onDrift: (mode: ImplementedMode, what: string) => void;
}

/** Hears of, or looks every few seconds for, what is no rule: the kernel tells nobody of changes of IPVS and ipset. */
export class DriftPoll {
  readonly #parts: DriftPollParts;
  #isWaiting = false;
  /** Addresses may be gone of modes that could not be looked at since. */
  readonly #suspected = new Set<ImplementedMode>();

  constructor(parts: DriftPollParts) {
    this.#parts = parts;
  }

  /** Returns when the signal aborts. */
  async run(): Promise<void> {
    const { clock, log, signal, watchBound } = this.#parts;
    void watchBound(() => void this.#lookAtAddresses(), signal).catch((error: unknown) => {
      log.warn({ problem: (error as Error).message }, 'addresses that others take away are not noticed');
    });
    void this.#glance();
    let tookMs = 0;
    while (!signal.aborted) {
      await clock.sleep(Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, tookMs * PAUSE_PER_LOOK)), signal);
      const startedMs = clock.monotonicMs();
      if (!signal.aborted) await this.#look();
      tookMs = clock.monotonicMs() - startedMs;
    }
  }

  async #lookAtAddresses(): Promise<void> {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    await this.#parts.clock.sleep(SETTLE_MS, this.#parts.signal);
    this.#isWaiting = false;
    for (const mode of IMPLEMENTED_MODES) this.#suspected.add(mode);
    await this.#look();
  }

  /** What comes or goes is noticed soon, without a program run for each look. */
  async #glance(): Promise<void> {
    const { clock, signal, held } = this.#parts;
    let mayLookAtMs = 0;
    while (!signal.aborted) {
      const isUseful = held().some(({ glance }) => glance !== undefined);
      await clock.sleep(isUseful ? GLANCE_MS : SHORTEST_PAUSE_MS, signal);
      const startedMs = clock.monotonicMs();
      if (signal.aborted || startedMs < mayLookAtMs) continue;
      const suspicious = held().filter((dataplane) => dataplane.glance?.() === false);
      for (const dataplane of suspicious) await this.#lookAt(dataplane);
      const nowMs = clock.monotonicMs();
      mayLookAtMs = nowMs + (nowMs - startedMs) * PAUSE_PER_CLOSER_LOOK;
    }
  }

  async #look(): Promise<void> {
    for (const dataplane of this.#parts.held()) await this.#lookAt(dataplane);
  }

  async #lookAt(dataplane: Held): Promise<void> {
    const { log, onDrift } = this.#parts;
    const { mode } = dataplane;
    const addresses = this.#suspected.delete(mode);
    try {
      if ((await dataplane.isIntact?.(addresses)) !== false) return;
      onDrift(mode, addresses ? 'addresses, virtual servers or sets' : 'rules, virtual servers or sets');
    } catch (error) {
      if (addresses) this.#suspected.add(mode);
      log.debug({ mode, problem: (error as Error).message }, 'cannot look at the rules');
    }
  }
}

import { Counter, Gauge, type Registry } from 'prom-client';
import { ConntrackJudge, type ConntrackHealth } from '../../core/node/conntrack-health.ts';
import type { ConntrackStats } from '../../kernel/conntrack-stats.ts';
import type { Clock } from '../../support/clock.ts';

const POLL_MS = 5_000;
/** How far apart the looks are that losses are counted from, and how many of them are kept: an hour. */
const PAST_MS = 600_000;
const PAST_KEPT = 6;

export interface ConntrackWatchParts {
  /** Undefined while the kernel tracks nothing. */
  readonly read: () => ConntrackStats | undefined;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onChange: () => void;
}

export interface ConntrackView {
  readonly max: number;
  readonly buckets: number;
  readonly health: ConntrackHealth;
}

/** What was lost in at most the last hour or so, while this agent looked. */
export interface ConntrackLosses {
  readonly seconds: number;
  readonly insertFailed: number;
  readonly dropped: number;
}

/** Watches how full the connection tracking table is and what it drops: as metrics, and as a judgement for the status. */
export class ConntrackWatch {
  readonly #parts: ConntrackWatchParts;
  readonly #judge = new ConntrackJudge();
  readonly #entries: Gauge;
  readonly #max: Gauge;
  readonly #counters: Record<'insertFailed' | 'dropped' | 'earlyDropped', Counter>;
  #before: ConntrackStats | undefined;
  #past: { readonly atMs: number; readonly stats: ConntrackStats }[] = [];
  #view: ConntrackView | null = null;

  constructor(parts: ConntrackWatchParts) {
    this.#parts = parts;
    const registers = [parts.registry];
    this.#entries = new Gauge({
      name: 'switchyard_conntrack_entries',
      help: 'Connections that are tracked now.',
      registers,
    });
    this.#max = new Gauge({ name: 'switchyard_conntrack_max', help: 'Connections that can be tracked.', registers });
    const counter = (name: string, help: string) =>
      new Counter({ name: `switchyard_conntrack_${name}_total`, help, registers });
    this.#counters = {
      insertFailed: counter('insert_failed', 'Connections that could not be added to the table.'),
      dropped: counter('drop', 'Packets dropped because the table was full or there was no memory.'),
      earlyDropped: counter('early_drop', 'Unanswered connections that were forgotten to make room.'),
    };
  }

  get view(): ConntrackView | null {
    return this.#view;
  }

  /** What the table has lost since the oldest look that is remembered; looks again. */
  losses(): ConntrackLosses | undefined {
    const [oldest] = this.#past;
    const now = this.#parts.read();
    if (oldest === undefined || now === undefined) return undefined;
    return {
      seconds: (this.#parts.clock.monotonicMs() - oldest.atMs) / 1_000,
      insertFailed: now.insertFailed - oldest.stats.insertFailed,
      dropped: now.dropped - oldest.stats.dropped,
    };
  }

  /** Looks every few seconds until the signal aborts. */
  async run(): Promise<void> {
    const { clock, signal } = this.#parts;
    while (!signal.aborted) {
      this.look();
      await clock.sleep(POLL_MS, signal);
    }
  }

  /** One look. */
  look(): void {
    const { read, onChange } = this.#parts;
    const stats = read();
    const was = this.#view;
    this.#view = stats === undefined ? null : this.#take(stats);
    if (JSON.stringify(was) !== JSON.stringify(this.#view)) onChange();
    if (stats === undefined) [this.#before, this.#past] = [undefined, []];
  }

  #keep(stats: ConntrackStats): void {
    const atMs = this.#parts.clock.monotonicMs();
    const last = this.#past.at(-1);
    // A module that was loaded anew counts from zero.
    if (last !== undefined && stats.insertFailed < last.stats.insertFailed) this.#past = [];
    if (last === undefined || this.#past.length === 0 || atMs - last.atMs >= PAST_MS) this.#past.push({ atMs, stats });
    if (this.#past.length > PAST_KEPT) this.#past.shift();
  }

  #take(stats: ConntrackStats): ConntrackView {
    const before = this.#before ?? stats;
    this.#before = stats;
    this.#keep(stats);
    this.#entries.set(stats.entries);
    this.#max.set(stats.max);
    for (const key of ['insertFailed', 'dropped', 'earlyDropped'] as const) {
      // A module that was loaded anew counts from zero.
      this.#counters[key].inc(Math.max(0, stats[key] - before[key]));
    }
    const { max, buckets } = stats;
    return { max, buckets, health: this.#judge.add(stats, this.#parts.clock.monotonicMs()) };
  }
}

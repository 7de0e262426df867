import { Counter, Gauge, type Registry } from 'prom-client';
import { ConntrackJudge, type ConntrackHealth } from '../core/conntrack-health.ts';
import type { ConntrackStats } from '../kernel/conntrack-stats.ts';
import type { Clock } from '../support/clock.ts';

const POLL_MS = 5_000;

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

/** Watches how full the connection tracking table is and what it drops: as metrics, and as a judgement for the status. */
export class ConntrackWatch {
  readonly #parts: ConntrackWatchParts;
  readonly #judge = new ConntrackJudge();
  readonly #entries: Gauge;
  readonly #max: Gauge;
  readonly #counters: Record<'insertFailed' | 'dropped' | 'earlyDropped', Counter>;
  #before: ConntrackStats | undefined;
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
    if (stats === undefined) this.#before = undefined;
  }

  #take(stats: ConntrackStats): ConntrackView {
    const before = this.#before ?? stats;
    this.#before = stats;
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

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Family } from '../../core/ip.ts';
import type { ImplementedMode } from '../../core/mode.ts';
import type { SyncReport } from '../../kernel/dataplane.ts';
import { KernelError } from '../../kernel/error.ts';
import type { Clock } from '../../support/clock.ts';

/** kube-proxy's buckets: 1 ms doubled 14 times. */
export const DURATION_BUCKETS = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);

/** Batches that are remembered, and for how long. */
const RECENT_BATCHES = 20;
const RECENT_MS = 600_000;

/** One batch: `full` when everything was compared and written, `partial` when only what changed. */
export type SyncExtent = 'full' | 'partial';

/** How the kernel takes the rules. Both families are written together, so they have equal durations. */
export class SyncMetrics {
  readonly #clock: Clock;
  readonly #families: readonly Family[];
  readonly #seconds: Histogram;
  readonly #extentSeconds: Record<SyncExtent, Histogram>;
  readonly #lastSync: Gauge;
  readonly #lastQueued: Gauge;
  readonly #failures: Counter;
  readonly #nftablesFailures: Counter;
  readonly #cleanUpFailures: Counter;
  readonly #restoreFailures: Record<SyncExtent, Counter>;
  readonly #lastRules: Gauge;
  readonly #objects: Counter;
  #recent: { readonly atMs: number; readonly seconds: number }[] = [];

  constructor(clock: Clock, families: readonly Family[], registry: Registry) {
    this.#clock = clock;
    this.#families = families;
    const registers = [registry];
    const labelNames = ['ip_family'];
    const duration = (name: string, help: string) =>
      new Histogram({ name, help, labelNames, buckets: DURATION_BUCKETS, registers });
    this.#seconds = duration(
      'kubeproxy_sync_proxy_rules_duration_seconds',
      'Time to bring the kernel up to date with one batch of changes.',
    );
    this.#extentSeconds = {
      full: duration(
        'kubeproxy_sync_full_proxy_rules_duration_seconds',
        'Time to compare all rules with the kernel and write what differs.',
      ),
      partial: duration('kubeproxy_sync_partial_proxy_rules_duration_seconds', 'Time to write only what changed.'),
    };
    this.#lastSync = new Gauge({
      name: 'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
      help: 'When the kernel was last brought up to date.',
      labelNames,
      registers,
    });
    this.#lastQueued = new Gauge({
      name: 'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
      help: 'When a change last came in.',
      labelNames,
      registers,
    });
    this.#failures = new Counter({
      name: 'switchyard_sync_failures_total',
      help: 'Batches of changes that the kernel did not take.',
      labelNames: ['mode'],
      registers,
    });
    const { nftables, cleanUp, restore } = modeFailures(registry);
    this.#nftablesFailures = nftables;
    this.#cleanUpFailures = cleanUp;
    this.#restoreFailures = restore;
    this.#lastRules = new Gauge({
      name: 'kubeproxy_sync_proxy_rules_iptables_last',
      help: 'Rules that the last batch sent to iptables-restore.',
      labelNames: ['table', 'ip_family'],
      registers,
    });
    this.#objects = new Counter({
      name: 'switchyard_kernel_objects_total',
      help: 'Rules, chains and elements written to or removed from the kernel.',
      labelNames: ['mode', 'operation'],
      registers,
    });
    this.#startAtZero();
  }

  /** A rate over a series that appears with its first failure would miss that failure. */
  #startAtZero(): void {
    for (const ip_family of this.#families) {
      const { full, partial } = this.#restoreFailures;
      for (const counter of [this.#nftablesFailures, this.#cleanUpFailures, full, partial])
        counter.inc({ ip_family }, 0);
    }
  }

  /** What the slowest batch of the last minutes took; undefined where there was none. */
  slowestSeconds(): number | undefined {
    const since = this.#clock.monotonicMs() - RECENT_MS;
    const seconds = this.#recent.filter(({ atMs }) => atMs >= since).map((each) => each.seconds);
    return seconds.length === 0 ? undefined : Math.max(...seconds);
  }

  /** The kernel holds all that is known, whether or not something was written for it. */
  synced(): void {
    for (const ip_family of this.#families) this.#lastSync.set({ ip_family }, this.#clock.now() / 1_000);
  }

  /** Something in the table changed. */
  queued(): void {
    for (const ip_family of this.#families) this.#lastQueued.set({ ip_family }, this.#clock.now() / 1_000);
  }

  /** Starts the stopwatch of one batch; call the result with what was done, or why it failed. */
  startSync(mode: ImplementedMode, extent: SyncExtent): (outcome: SyncReport | Error) => void {
    const startedMs = this.#clock.monotonicMs();
    return (outcome) => {
      if (outcome instanceof Error) this.#fail(mode, extent, outcome);
      else this.#succeed(mode, extent, { report: outcome, seconds: (this.#clock.monotonicMs() - startedMs) / 1_000 });
    };
  }

  #fail(mode: ImplementedMode, extent: SyncExtent, error: Error): void {
    this.#failures.inc({ mode });
    const counter = this.#failureCounter(mode, extent, error);
    for (const ip_family of this.#families) counter?.inc({ ip_family });
  }

  /** In IPVS mode kube-proxy counts what iptables refuses, and nothing else. */
  #failureCounter(mode: ImplementedMode, extent: SyncExtent, error: Error): Counter | undefined {
    if (mode === 'nftables') return this.#nftablesFailures;
    if (mode === 'iptables') return this.#restoreFailures[extent];
    return isIptablesError(error) ? this.#restoreFailures.full : undefined;
  }

  #succeed(
    mode: ImplementedMode,
    extent: SyncExtent,
    { report, seconds }: { report: SyncReport; seconds: number },
  ): void {
    for (const ip_family of this.#families) {
      this.#seconds.observe({ ip_family }, seconds);
      this.#extentSeconds[extent].observe({ ip_family }, seconds);
    }
    this.#recent = [...this.#recent, { atMs: this.#clock.monotonicMs(), seconds }].slice(-RECENT_BATCHES);
    for (const { family, table, count } of report.rules ?? []) this.#lastRules.set({ table, ip_family: family }, count);
    if (report.hasLeftovers === true) for (const ip_family of this.#families) this.#cleanUpFailures.inc({ ip_family });
    this.#objects.inc({ mode, operation: 'written' }, report.written);
    this.#objects.inc({ mode, operation: 'removed' }, report.removed);
  }
}

/** kube-proxy has counters of their own for each mode's failures. */
function modeFailures(registry: Registry) {
  const failures = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['ip_family'], registers: [registry] });
  return {
    nftables: failures(
      'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
      'Transactions that nftables refused.',
    ),
    cleanUp: failures(
      'kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total',
      'Times that chains which nothing uses any more could not be removed yet.',
    ),
    restore: {
      full: failures(
        'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
        'Times that iptables-restore refused all rules.',
      ),
      partial: failures(
        'kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total',
        'Times that iptables-restore refused a change.',
      ),
    },
  };
}

function isIptablesError(error: Error): boolean {
  return error instanceof KernelError && /^ip6?tables/.test(error.object);
}

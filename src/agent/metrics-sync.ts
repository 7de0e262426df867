import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Family } from '../core/ip.ts';
import type { ImplementedMode } from '../core/mode.ts';
import type { SyncReport } from '../kernel/dataplane.ts';
import type { Clock } from '../support/clock.ts';

/** kube-proxy's buckets: 1 ms doubled 14 times. */
export const DURATION_BUCKETS = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);

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
  readonly #modeFailures: Record<string, Counter>;
  readonly #objects: Counter;

  constructor(clock: Clock, families: readonly Family[], registry: Registry) {
    this.#clock = clock;
    this.#families = families;
    const registers = [registry];
    const labelNames = ['ip_family'];
    const duration = (name: string, help: string) =>
      new Histogram({ name, help, labelNames, buckets: DURATION_BUCKETS, registers });
    const failures = (name: string, help: string) => new Counter({ name, help, labelNames, registers });
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
    this.#modeFailures = {
      'nftables full': failures(
        'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
        'Transactions that nftables refused.',
      ),
      'iptables full': failures(
        'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
        'Times that iptables-restore refused all rules.',
      ),
      'iptables partial': failures(
        'kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total',
        'Times that iptables-restore refused a change.',
      ),
    };
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
      for (const counter of Object.values(this.#modeFailures)) counter.inc({ ip_family }, 0);
    }
  }

  /** Something in the table changed. */
  queued(): void {
    for (const ip_family of this.#families) this.#lastQueued.set({ ip_family }, this.#clock.now() / 1_000);
  }

  /** Starts the stopwatch of one batch; call the result with what was done, or with null when it failed. */
  startSync(mode: ImplementedMode, extent: SyncExtent): (report: SyncReport | null) => void {
    const startedMs = this.#clock.monotonicMs();
    return (report) => {
      if (report === null) this.#fail(mode, extent);
      else this.#succeed(mode, extent, { report, seconds: (this.#clock.monotonicMs() - startedMs) / 1_000 });
    };
  }

  #fail(mode: ImplementedMode, extent: SyncExtent): void {
    this.#failures.inc({ mode });
    const counter = this.#modeFailures[`${mode} ${mode === 'nftables' ? 'full' : extent}`];
    for (const ip_family of this.#families) counter?.inc({ ip_family });
  }

  #succeed(
    mode: ImplementedMode,
    extent: SyncExtent,
    { report, seconds }: { report: SyncReport; seconds: number },
  ): void {
    for (const ip_family of this.#families) {
      this.#seconds.observe({ ip_family }, seconds);
      this.#extentSeconds[extent].observe({ ip_family }, seconds);
      this.#lastSync.set({ ip_family }, this.#clock.now() / 1_000);
    }
    this.#objects.inc({ mode, operation: 'written' }, report.written);
    this.#objects.inc({ mode, operation: 'removed' }, report.removed);
  }
}

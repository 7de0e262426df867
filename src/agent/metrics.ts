import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Serving } from '../core/mode-switch.ts';
import { IMPLEMENTED_MODES, type ImplementedMode } from '../core/mode.ts';
import type { SyncReport } from '../kernel/dataplane.ts';
import type { Clock } from '../support/clock.ts';

/** kube-proxy's buckets: 1 ms doubled 14 times. */
const SYNC_BUCKETS = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);

/** The agent's metrics; where kube-proxy has one for the same thing, under kube-proxy's name. */
export class AgentMetrics {
  readonly registry = new Registry();
  readonly #clock: Clock;
  readonly #syncSeconds = new Histogram({
    name: 'kubeproxy_sync_proxy_rules_duration_seconds',
    help: 'Time to bring the kernel up to date with one batch of changes.',
    buckets: SYNC_BUCKETS,
    registers: [this.registry],
  });
  readonly #lastSync = new Gauge({
    name: 'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
    help: 'When the kernel was last brought up to date.',
    registers: [this.registry],
  });
  readonly #failures = new Counter({
    name: 'switchyard_sync_failures_total',
    help: 'Batches of changes that the kernel did not take.',
    labelNames: ['mode'],
    registers: [this.registry],
  });
  readonly #objects = new Counter({
    name: 'switchyard_kernel_objects_total',
    help: 'Rules, chains and elements written to or removed from the kernel.',
    labelNames: ['mode', 'operation'],
    registers: [this.registry],
  });
  readonly #mode = new Gauge({
    name: 'switchyard_mode',
    help: '1 for the mode that serves, 0 for the others.',
    labelNames: ['mode'],
    registers: [this.registry],
  });
  readonly #revision = new Gauge({
    name: 'switchyard_revision_info',
    help: 'The revision that serves, as a label.',
    labelNames: ['revision'],
    registers: [this.registry],
  });

  readonly #conntrackSeconds = new Histogram({
    name: 'kubeproxy_conntrack_reconciler_sync_duration_seconds',
    help: 'Time to find and delete stale flows after changes of UDP or SCTP Services.',
    buckets: SYNC_BUCKETS,
    registers: [this.registry],
  });
  readonly #conntrackDeleted = new Counter({
    name: 'kubeproxy_conntrack_reconciler_deleted_entries_total',
    help: 'Tracked flows that were deleted because they could not reach a backend any more.',
    registers: [this.registry],
  });

  readonly #drift = new Counter({
    name: 'switchyard_drift_total',
    help: 'How often somebody else changed our rules.',
    labelNames: ['rules'],
    registers: [this.registry],
  });

  constructor(clock: Clock) {
    this.#clock = clock;
    collectDefaultMetrics({ register: this.registry });
  }

  /** Starts the stopwatch of one batch; call the result with what was done, or with null when it failed. */
  startSync(mode: ImplementedMode): (report: SyncReport | null) => void {
    const startedMs = this.#clock.monotonicMs();
    return (report) => {
      if (report === null) {
        this.#failures.inc({ mode });
        return;
      }
      this.#syncSeconds.observe((this.#clock.monotonicMs() - startedMs) / 1_000);
      this.#lastSync.set(this.#clock.now() / 1_000);
      this.#objects.inc({ mode, operation: 'written' }, report.written);
      this.#objects.inc({ mode, operation: 'removed' }, report.removed);
    };
  }

  /** One clean-up of stale flows. */
  cleaned(seconds: number, deleted: number): void {
    this.#conntrackSeconds.observe(seconds);
    this.#conntrackDeleted.inc(deleted);
  }

  countDrift(rules: string): void {
    this.#drift.inc({ rules });
  }

  setServing({ config: { mode }, revision }: Serving): void {
    for (const each of IMPLEMENTED_MODES) this.#mode.set({ mode: each }, each === mode ? 1 : 0);
    this.#revision.reset();
    this.#revision.set({ revision }, 1);
  }
}

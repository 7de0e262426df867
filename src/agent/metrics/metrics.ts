import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { FAMILIES, type Family } from '../../core/ip.ts';
import type { Serving } from '../../core/node/mode-switch.ts';
import { IMPLEMENTED_MODES, type ImplementedMode } from '../../core/mode.ts';
import type { SyncReport } from '../../kernel/dataplane.ts';
import type { Clock } from '../../support/clock.ts';
import { VERSION } from '../../support/version.ts';
import { RequestMetrics } from './requests.ts';
import { registerProcessMetrics } from './process.ts';
import { DURATION_BUCKETS, SyncMetrics, type SyncExtent } from './sync.ts';

/** The agent's metrics; where kube-proxy has one for the same thing, under kube-proxy's name. */
export class AgentMetrics {
  readonly registry = new Registry();
  readonly requests = new RequestMetrics(this.registry);
  readonly #sync: SyncMetrics;
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
  readonly #drift = new Counter({
    name: 'switchyard_drift_total',
    help: 'How often somebody else changed our rules.',
    labelNames: ['rules'],
    registers: [this.registry],
  });
  readonly #conntrackSeconds = new Histogram({
    name: 'kubeproxy_conntrack_reconciler_sync_duration_seconds',
    help: 'Time to find and delete stale flows after changes of UDP or SCTP Services.',
    labelNames: ['ip_family'],
    buckets: DURATION_BUCKETS,
    registers: [this.registry],
  });
  readonly #conntrackDeleted = new Counter({
    name: 'kubeproxy_conntrack_reconciler_deleted_entries_total',
    help: 'Tracked flows that were deleted because they could not reach a backend any more.',
    labelNames: ['ip_family'],
    registers: [this.registry],
  });
  readonly #probes = {
    healthz: this.#probeCounter('healthz'),
    livez: this.#probeCounter('livez'),
  };

  constructor(clock: Clock, families: readonly Family[] = FAMILIES) {
    registerProcessMetrics(this.registry);
    this.#sync = new SyncMetrics(clock, families, this.registry);
    const build = new Gauge({
      name: 'switchyard_build_info',
      help: 'The version of this agent, as a label.',
      labelNames: ['version'],
      registers: [this.registry],
    });
    build.set({ version: VERSION }, 1);
  }

  /** What `seconds` says by resource is shown at each scrape. */
  watchInputs(seconds: () => ReadonlyMap<string, number>): void {
    new Gauge({
      name: 'switchyard_inputs_unread_seconds',
      help: 'For how long the agent has not been able to read this from the API server; 0 while it follows it.',
      labelNames: ['resource'],
      registers: [this.registry],
      collect() {
        for (const [resource, value] of seconds()) this.set({ resource }, value);
      },
    });
  }

  /** What the slowest of the last batches of changes took. */
  slowestSyncSeconds(): number | undefined {
    return this.#sync.slowestSeconds();
  }

  /** Something in the table changed. */
  queued(): void {
    this.#sync.queued();
  }

  /** The kernel holds all that is known. */
  synced(): void {
    this.#sync.synced();
  }

  /** Starts the stopwatch of one batch; call the result with what was done, or why it failed. */
  startSync(mode: ImplementedMode, extent: SyncExtent): (outcome: SyncReport | Error) => void {
    return this.#sync.startSync(mode, extent);
  }

  /** One clean-up of stale flows. */
  cleaned(ip_family: Family, seconds: number, deleted: number): void {
    this.#conntrackSeconds.observe({ ip_family }, seconds);
    this.#conntrackDeleted.inc({ ip_family }, deleted);
  }

  countDrift(rules: string): void {
    this.#drift.inc({ rules });
  }

  /** A probe was answered with this status. */
  countProbe(probe: 'healthz' | 'livez', code: number): void {
    this.#probes[probe].inc({ code });
  }

  setServing({ config: { mode }, revision }: Serving): void {
    for (const each of IMPLEMENTED_MODES) this.#mode.set({ mode: each }, each === mode ? 1 : 0);
    this.#revision.reset();
    this.#revision.set({ revision }, 1);
  }

  #probeCounter(probe: string) {
    return new Counter({
      name: `kubeproxy_proxy_${probe}_total`,
      help: `Answers of /${probe} by status.`,
      labelNames: ['code'],
      registers: [this.registry],
    });
  }
}

import { PlanMemory, planRollout } from '../src/core/rollout/rollout.ts';
import { node, profile, SimulatedCluster } from '../test/unit/core/rollout/cluster.ts';

const ZONES = 10;
const WARM_UP_PLANS = 200;

export interface PlanBenchOptions {
  readonly nodes: number;
  readonly plans: number;
}

export interface PlanBenchResult {
  readonly nodes: number;
  readonly plans: number;
  /** CPU of this process, garbage collection included. */
  readonly cpuMsPerPlan: number;
  /** By the clock. */
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** A fleet in the middle of a rollout, in batches of 2 %. */
function fleet(count: number): SimulatedCluster {
  const nodes = Array.from({ length: count }, (_, index) =>
    node(`node-${index}`, {
      labels: { 'topology.kubernetes.io/zone': `zone-${index % ZONES}`, 'kubernetes.io/os': 'linux' },
    }),
  );
  const rollout = { maxUnavailable: '100%', maxFailures: 5 };
  const cluster = new SimulatedCluster([profile('all', { mode: 'iptables', rollout })], nodes);
  while (cluster.condition('all', 'Progressing') !== 'False/Complete') {
    cluster.reconcile();
    for (const { metadata, spec } of cluster.states.values())
      if (spec.attempt !== undefined) cluster.succeed(metadata.name);
  }
  cluster.editProfile('all', { mode: 'nftables', rollout: { ...rollout, maxUnavailable: '2%' } });
  return cluster;
}

function quantile(sorted: readonly number[], share: number): number {
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 100) / 100;
}

/** What one plan costs where a few nodes have changed since the last, as between two runs of the controller. */
export function benchPlan({ nodes, plans }: PlanBenchOptions): PlanBenchResult {
  const cluster = fleet(nodes);
  const memory = new PlanMemory();
  const times: number[] = [];
  let cpuUs = 0;
  for (let round = 0; round < WARM_UP_PLANS + plans; round += 1) {
    const input = cluster.input();
    const [cpu, startedMs] = [process.cpuUsage(), performance.now()];
    const plan = planRollout(input, memory);
    if (round >= WARM_UP_PLANS) {
      times.push(performance.now() - startedMs);
      const { user, system } = process.cpuUsage(cpu);
      cpuUs += user + system;
    }
    cluster.apply(plan);
    cluster.nowMs += 1_000;
    const busy = [...cluster.states.values()].filter(({ spec }) => spec.attempt !== undefined);
    for (const { metadata } of busy.slice(0, 1 + (round % 20))) cluster.succeed(metadata.name);
    if (cluster.condition('all', 'Progressing') === 'False/Complete') {
      const { spec } = cluster.profile('all');
      cluster.editProfile('all', {
        mode: spec.mode === 'nftables' ? 'iptables' : 'nftables',
        masqueradeBit: 14 + (round % 2),
      });
    }
  }
  times.sort((a, b) => a - b);
  return {
    nodes,
    plans,
    cpuMsPerPlan: Math.round(cpuUs / plans / 10) / 100,
    medianMs: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    maxMs: quantile(times, 1),
  };
}

import type { RolloutEvent } from '../core/rollout/transition.ts';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { NodeProxyState } from '../core/api/node-proxy-state.ts';
import type { ProfilePlan } from '../core/rollout/rollout.ts';

export interface ControllerMetrics {
  readonly registry: Registry;
  setLeader(isLeader: boolean): void;
  countWrite(kind: string, verb: string, status: number | undefined): void;
  /** Call what it returns when the run ends. */
  startReconcile(): (hasFailed: boolean) => void;
  observePlan(seconds: number): void;
  setProfiles(plans: readonly ProfilePlan[]): void;
  countEvent(plan: ProfilePlan, event: RolloutEvent): void;
  countMeasurement(profile: string, gate: string, result: string): void;
  observeSlotWait(profile: string, seconds: number): void;
  /** From where the revision of each node is read when somebody asks. */
  collectNodes(list: () => readonly NodeProxyState[]): void;
}

/** `fleet` when a revision was rejected, `node` when one node failed and went back. */
function rollbackOf({ profile, status }: ProfilePlan, { reason, message }: RolloutEvent) {
  const name = profile.metadata.name;
  if (reason === 'RollbackStarted') {
    return { profile: name, scope: 'fleet', cause: status.revision?.rejected?.[0]?.cause ?? 'Unknown' };
  }
  // Node NAME failed REVISION: CODE: text, or could not go back to it
  return reason === 'NodeFailed'
    ? { profile: name, scope: 'node', cause: message.split(': ')[1] ?? 'Unknown' }
    : undefined;
}

type RolloutMetrics = Pick<
  ControllerMetrics,
  'observePlan' | 'countEvent' | 'countMeasurement' | 'observeSlotWait' | 'collectNodes'
>;

function createRolloutMetrics(registers: Registry[]): RolloutMetrics {
  const rollbacks = new Counter({
    name: 'switchyard_rollbacks_total',
    help: 'Failures that led back: of a node (scope node) or of a revision (scope fleet), by cause.',
    labelNames: ['profile', 'scope', 'cause'] as const,
    registers,
  });
  const measurements = new Counter({
    name: 'switchyard_gate_measurements_total',
    help: 'Measurements of the gates of profiles: Pass, Fail or NoData.',
    labelNames: ['profile', 'gate', 'result'] as const,
    registers,
  });
  const slotWait = new Histogram({
    name: 'switchyard_slot_wait_seconds',
    help: 'Time from the begin of a rollout until a node was started.',
    labelNames: ['profile'] as const,
    buckets: [1, 10, 60, 300, 1_800, 7_200, 28_800, 86_400, 604_800],
    registers,
  });
  const planSeconds = new Histogram({
    name: 'switchyard_controller_plan_duration_seconds',
    help: 'How long it took to decide what to do, without the writes.',
    buckets: [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2],
    registers,
  });
  return {
    observePlan: (seconds) => planSeconds.observe(seconds),
    countEvent: (plan, event) => {
      const labels = rollbackOf(plan, event);
      if (labels !== undefined) rollbacks.inc(labels);
    },
    countMeasurement: (profile, gate, result) => measurements.inc({ profile, gate, result }),
    observeSlotWait: (profile, seconds) => slotWait.observe({ profile }, Math.max(0, seconds)),
    collectNodes: (list) => {
      // Made when somebody asks: a series per node is too much to keep up to date all the time.
      new Gauge({
        name: 'switchyard_node_revision',
        help: 'The revision that each node is to run (target) and runs (live); always 1.',
        labelNames: ['node', 'profile', 'target', 'live'] as const,
        registers,
        collect() {
          this.reset();
          for (const { spec, status } of list()) {
            const { nodeName: node, profile, revision: target } = spec;
            this.set({ node, profile: profile.name, target, live: status?.current?.revision ?? '' }, 1);
          }
        },
      });
    },
  };
}

export function createMetrics(): ControllerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const leader = new Gauge({
    name: 'switchyard_controller_leader',
    help: 'Whether this process leads (1) or waits (0).',
    registers,
  });
  const writes = new Counter({
    name: 'switchyard_controller_writes_total',
    help: 'Writes to the API server; code is the HTTP status of a refusal, 0 where there was no answer, else ok.',
    labelNames: ['kind', 'verb', 'code'] as const,
    registers,
  });
  const seconds = new Histogram({
    name: 'switchyard_controller_reconcile_duration_seconds',
    help: 'How long one plan and its writes took.',
    labelNames: ['result'] as const,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers,
  });
  const nodes = new Gauge({
    name: 'switchyard_profile_nodes',
    help: 'Nodes of a ProxyProfile by state, as in its status.nodes.',
    labelNames: ['profile', 'state'] as const,
    registers,
  });
  const conditions = new Gauge({
    name: 'switchyard_profile_condition',
    help: 'Conditions of a ProxyProfile: 1 for True, 0 for False, -1 for Unknown.',
    labelNames: ['profile', 'type'] as const,
    registers,
  });
  return {
    registry,
    ...createRolloutMetrics(registers),
    setLeader: (isLeader) => leader.set(isLeader ? 1 : 0),
    countWrite: (kind, verb, status) => writes.inc({ kind, verb, code: status === undefined ? 'ok' : String(status) }),
    startReconcile: () => {
      const end = seconds.startTimer();
      return (hasFailed) => void end({ result: hasFailed ? 'error' : 'ok' });
    },
    setProfiles: (plans) => {
      nodes.reset();
      conditions.reset();
      for (const { profile, status } of plans) {
        const name = profile.metadata.name;
        for (const [state, count] of Object.entries(status.nodes ?? {})) nodes.set({ profile: name, state }, count);
        for (const { type, status: value } of status.conditions ?? []) {
          conditions.set({ profile: name, type }, value === 'True' ? 1 : value === 'False' ? 0 : -1);
        }
      }
    },
  };
}

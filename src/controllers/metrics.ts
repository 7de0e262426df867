import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ProfilePlan } from '../core/rollout.ts';

export interface ControllerMetrics {
  readonly registry: Registry;
  setLeader(isLeader: boolean): void;
  countWrite(kind: string, verb: string, status: number | undefined): void;
  /** Call what it returns when the run ends. */
  startReconcile(): (hasFailed: boolean) => void;
  setProfiles(plans: readonly ProfilePlan[]): void;
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

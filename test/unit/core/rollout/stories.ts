import type { RolloutNode } from '../../../../src/core/rollout/node.ts';
import { node, profile, SimulatedCluster } from './cluster.ts';

export const MINUTE = 60_000;

/** Nodes n1, n2, ... that run iptables, proven, under a profile that asks for nftables since. */
export function installed(count: number, rollout: object, given?: readonly RolloutNode[]): SimulatedCluster {
  const nodes = given ?? Array.from({ length: count }, (_, index) => node(`n${index + 1}`));
  const names = nodes.map(({ metadata }) => metadata.name);
  const cluster = new SimulatedCluster([profile('all', { mode: 'iptables', rollout: { maxUnavailable: 100 } })], nodes);
  while (cluster.condition('all', 'Progressing') !== 'False/Complete') {
    cluster.reconcile();
    cluster.succeed(...names);
  }
  cluster.reconcile();
  cluster.events.length = 0;
  cluster.editProfile('all', { mode: 'nftables', rollout });
  return cluster;
}

/** The agents of these nodes succeed, and the controller takes note of it and goes on. */
export function settle(cluster: SimulatedCluster, ...names: string[]): void {
  cluster.succeed(...names);
  cluster.reconcile();
  cluster.reconcile();
}

/** What the Node says of its kubelet, from now on. */
export function kubelet(cluster: SimulatedCluster, name: string, status: string): void {
  const old = cluster.nodes.get(name) ?? node(name);
  const lastTransitionTime = new Date(cluster.nowMs).toISOString();
  cluster.nodes.set(name, { ...old, status: { conditions: [{ type: 'Ready', status, lastTransitionTime }] } });
}

import type { Scenario } from './case.ts';
import { AFFINITY_SCENARIOS } from './cases/affinity.ts';
import { CLUSTER_IP_SCENARIOS } from './cases/cluster-ip.ts';
import { ENDPOINT_SCENARIOS } from './cases/endpoints.ts';
import { LOAD_BALANCER_SCENARIOS } from './cases/load-balancer.ts';
import { MASQUERADE_SCENARIOS } from './cases/masquerade.ts';
import { NODE_PORT_SCENARIOS } from './cases/node-ports.ts';
import { POLICY_SCENARIOS } from './cases/policies.ts';
import { TOPOLOGY_SCENARIOS } from './cases/topology.ts';
import { planScenario, type PlannedScenario } from './plan.ts';

/** All scenarios. Every mode passes them, with real packets and in thought. */
export const TABLE: readonly Scenario[] = [
  ...CLUSTER_IP_SCENARIOS,
  ...ENDPOINT_SCENARIOS,
  ...LOAD_BALANCER_SCENARIOS,
  ...NODE_PORT_SCENARIOS,
  ...POLICY_SCENARIOS,
  ...MASQUERADE_SCENARIOS,
  ...TOPOLOGY_SCENARIOS,
  ...AFFINITY_SCENARIOS,
];

export const PLANNED: readonly PlannedScenario[] = TABLE.map(planScenario);

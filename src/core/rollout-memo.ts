import type { NodeProxyState } from './api/node-proxy-state.ts';
import { assessNode, type NodeAssessment, type RolloutNode, type RolloutTarget } from './rollout-node.ts';

interface Remembered {
  readonly state: NodeProxyState | undefined;
  readonly target: string;
  readonly fromMs: number;
  readonly assessment: NodeAssessment;
}

/** By the Node object; objects are replaced when they change, never changed. */
const remembered = new WeakMap<RolloutNode, Remembered>();

/** Names all that an assessment takes from its target; a revision is a hash of its configuration. */
function keyOf(target: RolloutTarget): string {
  const { config, ...rest } = target;
  return JSON.stringify([rest, config === undefined]);
}

/**
 * `assessNode` towards one target, without the work where neither the objects nor the time can have changed the answer: of
 * thousands of nodes, few change between two plans.
 */
export function createAssessor(target: RolloutTarget, nowMs: number) {
  const key = keyOf(target);
  return (node: RolloutNode, state: NodeProxyState | undefined): NodeAssessment => {
    const known = remembered.get(node);
    const isSame = known?.state === state && known?.target === key;
    if (isSame && nowMs >= known.fromMs && nowMs < known.assessment.changesAtMs) return known.assessment;
    const assessment = assessNode(node, state, target, nowMs);
    remembered.set(node, { state, target: key, fromMs: nowMs, assessment });
    return assessment;
  };
}

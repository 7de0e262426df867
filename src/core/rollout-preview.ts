import type { ProxyProfileStatus } from './api/proxy-profile.ts';
import { isCandidate } from './rollout-budget.ts';
import type { NodeAssessment } from './rollout-node.ts';
import { compareForBatch, compareForCanary, compareForRollback, zoneOf } from './rollout-order.ts';
import { canaryPool, type Scene } from './rollout-scene.ts';
import type { Stage } from './rollout-stage.ts';

type PlannedNode = NonNullable<ProxyProfileStatus['plan']>[number];

const MAX_PLAN = 20;

interface Numbered {
  readonly node: NodeAssessment;
  readonly batch: number | undefined;
}

function forwardOrder(scene: Scene, stage: Stage, waiting: readonly NodeAssessment[]): Numbered[] {
  const pool = new Set(stage.canaryWanted > 0 ? canaryPool(scene) : []);
  const canary = waiting
    .filter((node) => pool.has(node))
    .sort(compareForCanary)
    .slice(0, stage.canaryWanted);
  const rest = waiting.filter((node) => !canary.includes(node)).sort(compareForBatch);
  const { maxUnavailable } = scene.budget;
  const numbered: Numbered[] = canary.map((node) => ({ node, batch: 0 }));
  let [batch, zone, size] = [stage.batch ?? 0, '', maxUnavailable];
  for (const node of rest) {
    if (size >= maxUnavailable || zoneOf(node) !== zone) [batch, zone, size] = [batch + 1, zoneOf(node), 0];
    size += 1;
    numbered.push({ node, batch });
  }
  return numbered;
}

/** All that is still to change, in order, as it looks now. */
function ordered(scene: Scene, stage: Stage | undefined): Numbered[] {
  const waiting = scene.nodes.filter((node) => isCandidate(node));
  if (stage !== undefined) return forwardOrder(scene, stage, waiting);
  const compare = scene.course.kind === 'Back' ? compareForRollback : compareForBatch;
  return waiting.sort(compare).map((node) => ({ node, batch: undefined }));
}

export interface Preview {
  /** The next nodes. */
  readonly plan: readonly PlannedNode[];
  /** Batches that are needed in all, as it looks now; undefined where there are none. */
  readonly batches: number | undefined;
}

export function previewRollout(scene: Scene, stage: Stage | undefined): Preview {
  const all = ordered(scene, stage);
  const plan = all.slice(0, MAX_PLAN).flatMap(({ node, batch }): PlannedNode[] => {
    const to = scene.course.configOf(node.goal)?.mode;
    const from = node.state?.status?.current?.mode;
    if (to === undefined) return [];
    return [
      {
        node: node.node.metadata.name,
        ...(from === undefined ? {} : { from }),
        to,
        revision: node.goal,
        ...(batch === undefined ? {} : { batch }),
      },
    ];
  });
  return { plan, batches: stage === undefined ? undefined : (all.at(-1)?.batch ?? stage.batch) };
}

import { pickBatch, pickCanary, pickReturning, pickSettling, SlotPicker } from './budget.ts';
import { FACT } from './facts.ts';
import type { NodeAssessment } from './node.ts';
import type { Scene } from './scene.ts';
import type { Stage } from './stage.ts';

/** One node that may start, and into what. */
export interface Grant {
  readonly node: NodeAssessment;
  readonly revision: string;
  /** Undefined beside the batches: new nodes, and on the way to the last completed revision. */
  readonly batch: number | undefined;
}

/** What a node that joins during a trial runs; undefined where it takes its turn with the others. */
function revisionOfNewNode({ course, spec }: Scene, stage: Stage): string | undefined {
  const { target, lastGood } = course;
  if (lastGood === undefined || course.configOf(lastGood) === undefined) return undefined;
  const { newNodes } = spec.rollout;
  return newNodes === 'Target' || (newNodes === 'Auto' && stage.canaryPassed) ? target : lastGood;
}

function forwardGrants(scene: Scene, stage: Stage, isStopped: boolean): Grant[] {
  const { nodes, budget } = scene;
  const picker = new SlotPicker(budget);
  const newRevision = revisionOfNewNode(scene, stage);
  const fresh = newRevision === undefined ? [] : nodes.where(FACT.candidate | FACT.fresh, FACT.servesGoal);
  const safe = isStopped && newRevision === scene.course.target ? [] : fresh;
  const grants: Grant[] = pickSettling(picker, safe).flatMap((node) =>
    newRevision === undefined ? [] : [{ node, revision: newRevision, batch: undefined }],
  );
  if (isStopped || stage.hold !== undefined) return grants;
  const isCanary = stage.canaryWanted > 0;
  const others = nodes.where(
    FACT.candidate | (isCanary ? FACT.canary : 0),
    FACT.servesGoal | (newRevision === undefined ? 0 : FACT.fresh),
  );
  const batch = isCanary ? 0 : (stage.batch ?? 0) + 1;
  const picked = isCanary ? pickCanary(picker, others, stage.canaryWanted) : pickBatch(picker, others);
  return [...grants, ...picked.map((node) => ({ node, revision: scene.course.target, batch }))];
}

function settleGrants({ nodes, budget, spec }: Scene): Grant[] {
  const isSpent = budget.failed >= spec.rollout.maxFailures;
  // Where too many failed, nodes that serve are left alone; nodes that serve nothing have nothing to lose.
  const candidates = nodes.where(FACT.candidate, FACT.servesGoal | (isSpent ? FACT.ready : 0));
  return pickSettling(new SlotPicker(budget), candidates).map((node) => ({
    node,
    revision: node.goal,
    batch: undefined,
  }));
}

/** Nodes that cannot run the rejected revision, or were ill before it, go back like all others. */
function returnGrants({ nodes, budget }: Scene): Grant[] {
  const candidates = nodes.where(FACT.movable, FACT.servesGoal);
  return pickReturning(new SlotPicker(budget), candidates).map((node) => ({
    node,
    revision: node.goal,
    batch: undefined,
  }));
}

/** The nodes that may start now. `isStopped`: the revision on trial gets no further node. */
export function chooseGrants(scene: Scene, stage: Stage | undefined, isStopped: boolean): Grant[] {
  const { paused, dryRun } = scene.spec.rollout;
  if (paused || dryRun) return [];
  const grants =
    stage !== undefined
      ? forwardGrants(scene, stage, isStopped)
      : scene.course.kind === 'Back'
        ? returnGrants(scene)
        : settleGrants(scene);
  return grants.filter(({ revision }) => scene.course.configOf(revision) !== undefined);
}

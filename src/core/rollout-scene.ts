import type { ProxyProfile, ProxyProfileSpec } from './api/proxy-profile.ts';
import { isCandidate, type Budget } from './rollout-budget.ts';
import type { Course } from './rollout-course.ts';
import type { GateResults } from './rollout-gates.ts';
import type { NodeAssessment } from './rollout-node.ts';
import { askedRevision } from './rollout-outcome.ts';
import { matchesSelector } from './rollout-selector.ts';

/** Holds the target revision when somebody lets it pass the canary, or a gate without data. */
export const APPROVAL_ANNOTATION = 'switchyard.dev/approved-revision';

/** Everything that is known of one rollout at one moment. */
export interface Scene {
  readonly profile: ProxyProfile;
  readonly spec: ProxyProfileSpec;
  readonly course: Course;
  /** Without those that are dead. */
  readonly nodes: readonly NodeAssessment[];
  readonly budget: Budget;
  readonly gateResults: GateResults;
  readonly nowMs: number;
}

export function isApproved({ profile, course }: Scene): boolean {
  return profile.metadata.annotations?.[APPROVAL_ANNOTATION] === course.target;
}

/** The nodes that run, or are to run, the revision on trial, and what is next. */
export interface Trial {
  readonly onTarget: readonly NodeAssessment[];
  readonly batch: number | undefined;
  readonly busy: readonly NodeAssessment[];
  readonly settled: readonly NodeAssessment[];
  readonly pool: readonly NodeAssessment[];
  readonly canaryWanted: number;
}

/** Nodes that were new come and go beside the batches. */
function isOfBatch({ phase, batch }: NodeAssessment): boolean {
  return phase === 'InFlight' && batch !== undefined;
}

export function canaryPool({ spec, nodes }: Scene): NodeAssessment[] {
  return nodes.filter(({ node }) => matchesSelector(spec.rollout.canary.selector, node.metadata.labels));
}

export function examine(scene: Scene): Trial {
  const { course, nodes, spec } = scene;
  const onTarget = nodes.filter(({ state }) => state !== undefined && askedRevision(state) === course.target);
  const batches = onTarget.flatMap(({ batch }) => (batch === undefined ? [] : [batch]));
  const batch = batches.length === 0 ? undefined : Math.max(...batches);
  const pool = canaryPool(scene);
  // Nodes that came to run it beside the batches, as new ones may, have shown nothing: nobody waited for them.
  const done = pool.filter(({ phase, batch: of }) => phase === 'Done' && of !== undefined).length;
  const eligible = done + pool.filter((node) => isCandidate(node) || node.phase === 'InFlight').length;
  return {
    onTarget,
    batch,
    busy: nodes.filter(isOfBatch),
    settled: onTarget.filter((node) => node.phase === 'Done' && node.batch !== undefined && node.batch === batch),
    pool,
    canaryWanted: Math.max(0, Math.min(spec.rollout.canary.count, eligible) - done),
  };
}

/** The first five, for people. */
export function names(nodes: readonly NodeAssessment[]): string {
  const all = nodes.map(({ node }) => node.metadata.name).sort();
  return all.length > 5 ? `${all.slice(0, 5).join(', ')} and ${all.length - 5} more` : all.join(', ');
}

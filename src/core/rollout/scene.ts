import type { ProxyProfile, ProxyProfileSpec } from '../api/proxy-profile.ts';
import { resolveShare, type Budget } from './budget.ts';
import type { Course } from './course.ts';
import { FACT } from './facts.ts';
import type { GateResults } from './gates.ts';
import type { NodeAssessment } from './node.ts';
import type { Roster } from './roster.ts';

/** Holds the target revision when somebody lets it pass the canary, or a gate without data. */
export const APPROVAL_ANNOTATION = 'switchyard.dev/approved-revision';

/** Everything that is known of one rollout at one moment. */
export interface Scene {
  readonly profile: ProxyProfile;
  readonly spec: ProxyProfileSpec;
  readonly course: Course;
  readonly nodes: Roster;
  readonly budget: Budget;
  readonly gateResults: GateResults;
  readonly nowMs: number;
}

export function isApproved({ profile, course }: Scene): boolean {
  return profile.metadata.annotations?.[APPROVAL_ANNOTATION] === course.target;
}

/** How far the nodes have come that run, or are to run, the revision on trial, and what is next. */
export interface Trial {
  readonly isBegun: boolean;
  readonly batch: number | undefined;
  readonly busy: readonly NodeAssessment[];
  readonly settled: readonly NodeAssessment[];
  readonly canaryWanted: number;
}

export function examine({ nodes, spec }: Scene): Trial {
  const batch = nodes.batches(FACT.onTarget).at(-1);
  // Nodes that came to run it beside the batches, as new ones may, have shown nothing: nobody waited for them.
  const done = nodes.count(FACT.canary | FACT.done | FACT.batched);
  const eligible = done + nodes.count(FACT.canary | FACT.candidate) + nodes.count(FACT.canary | FACT.inFlight);
  return {
    // A node that refused the change before it touched anything has not begun it.
    isBegun: nodes.count(FACT.onTarget, FACT.blocked) > 0,
    batch,
    // Nodes that were new come and go beside the batches.
    busy: nodes.where(FACT.inFlight | FACT.batched),
    settled: batch === undefined ? [] : nodes.ofBatch(batch, FACT.onTarget | FACT.done),
    canaryWanted: Math.max(0, Math.min(resolveShare(spec.rollout.canary.count, nodes.matched), eligible) - done),
  };
}

/** The first five, for people. */
export function names(nodes: readonly NodeAssessment[]): string {
  const all = nodes.map(({ node }) => node.metadata.name).sort();
  return all.length > 5 ? `${all.slice(0, 5).join(', ')} and ${all.length - 5} more` : all.join(', ');
}

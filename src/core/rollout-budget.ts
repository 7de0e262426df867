import type { RolloutSpec } from './api/proxy-profile.ts';
import type { NodeAssessment } from './rollout-node.ts';

const ZONE = 'topology.kubernetes.io/zone';

/** How many of `matched` nodes may be unavailable at one time: a percentage rounds down, but to no less than 1. */
export function resolveMaxUnavailable(maxUnavailable: RolloutSpec['maxUnavailable'], matched: number): number {
  if (typeof maxUnavailable === 'number') return maxUnavailable;
  return Math.max(1, Math.floor((matched * Number.parseInt(maxUnavailable, 10)) / 100));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function bornMs(creationTimestamp: string | undefined): number {
  return creationTimestamp === undefined ? 0 : Date.parse(creationTimestamp) || 0;
}

/** Nodes that do not serve come first, since to change them can only help; then zone by zone, the oldest first. */
function compareCandidates(a: NodeAssessment, b: NodeAssessment): number {
  const [left, right] = [a.node.metadata, b.node.metadata];
  return (
    Number(a.isReady) - Number(b.isReady) ||
    compareText(left.labels?.[ZONE] ?? '', right.labels?.[ZONE] ?? '') ||
    bornMs(left.creationTimestamp) - bornMs(right.creationTimestamp) ||
    compareText(left.name, right.name)
  );
}

/** The slots of a rollout, counted from the nodes as they are. */
export interface Budget {
  readonly maxUnavailable: number;
  readonly unavailable: number;
  readonly inFlight: number;
  readonly failed: number;
}

export function countBudget(nodes: readonly NodeAssessment[], rollout: RolloutSpec): Budget {
  return {
    maxUnavailable: resolveMaxUnavailable(rollout.maxUnavailable, nodes.length),
    unavailable: nodes.filter(({ isUnavailable }) => isUnavailable).length,
    inFlight: nodes.filter(({ phase }) => phase === 'InFlight').length,
    failed: nodes.filter(({ phase }) => phase === 'Failed').length,
  };
}

/**
 * The nodes that may start now. Never more than `maxUnavailable` are under way together, and a node that serves starts
 * only where with it no more than `maxUnavailable` are unavailable, for whatever cause. A node that does not serve
 * already counts as unavailable, so it takes no further place: that lets a first installation begin, and a broken node
 * be cured although it fills the budget itself.
 */
export function chooseGrants(nodes: readonly NodeAssessment[], rollout: RolloutSpec): NodeAssessment[] {
  const budget = countBudget(nodes, rollout);
  if (rollout.paused || budget.failed >= rollout.maxFailures) return [];
  let { unavailable, inFlight } = budget;
  const grants: NodeAssessment[] = [];
  const candidates = nodes.filter((node) => node.phase === 'Waiting' && !node.isUnreachable && !node.leftover);
  for (const candidate of candidates.sort(compareCandidates)) {
    const cost = candidate.isUnavailable ? 0 : 1;
    if (inFlight >= budget.maxUnavailable) break;
    if (cost > 0 && unavailable + cost > budget.maxUnavailable) break;
    unavailable += cost;
    inFlight += 1;
    grants.push(candidate);
  }
  return grants;
}

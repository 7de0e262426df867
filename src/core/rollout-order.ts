import type { NodeAssessment, RolloutNode } from './rollout-node.ts';

const ZONE = 'topology.kubernetes.io/zone';

interface SortKey {
  readonly zone: string;
  readonly bornMs: number;
  readonly name: string;
}

/** Of objects that stay as they are, so that sorting thousands of them parses no time twice. */
const keys = new WeakMap<RolloutNode, SortKey>();

function keyOf(node: RolloutNode): SortKey {
  const known = keys.get(node);
  if (known !== undefined) return known;
  const { labels, creationTimestamp, name } = node.metadata;
  const bornMs = creationTimestamp === undefined ? 0 : Date.parse(creationTimestamp) || 0;
  const key = { zone: labels?.[ZONE] ?? '', bornMs, name };
  keys.set(node, key);
  return key;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function zoneOf({ node }: NodeAssessment): string {
  return keyOf(node).zone;
}

/** Zone by zone, the oldest first. */
export function compareByZone(a: NodeAssessment, b: NodeAssessment): number {
  const [left, right] = [keyOf(a.node), keyOf(b.node)];
  return compareText(left.zone, right.zone) || left.bornMs - right.bornMs || compareText(left.name, right.name);
}

/** Nodes that do not serve come first, since to change them can only help. */
export function compareForBatch(a: NodeAssessment, b: NodeAssessment): number {
  return Number(a.isReady) - Number(b.isReady) || compareByZone(a, b);
}

/** Nodes that serve come first, since what happens to the others says little about the revision. */
export function compareForCanary(a: NodeAssessment, b: NodeAssessment): number {
  return Number(b.isWell) - Number(a.isWell) || compareByZone(a, b);
}

/** Ill nodes first, then the newest batch, then nodes that no batch brought where they are. */
export function compareForRollback(a: NodeAssessment, b: NodeAssessment): number {
  return Number(a.isWell) - Number(b.isWell) || (b.batch ?? -1) - (a.batch ?? -1) || compareByZone(a, b);
}

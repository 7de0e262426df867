import type { NodeAssessment, NodeOrder, RolloutNode } from './node.ts';

const ZONE = 'topology.kubernetes.io/zone';

export function orderOf({ metadata: { labels, creationTimestamp, name } }: RolloutNode): NodeOrder {
  const bornMs = creationTimestamp === undefined ? 0 : Date.parse(creationTimestamp) || 0;
  return { zone: labels?.[ZONE] ?? '', bornMs, name };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function zoneOf({ order }: NodeAssessment): string {
  return order.zone;
}

/** Up to here, to insert is less work than to sort. */
const FEW = 64;

/** The first `count` in order, without sorting thousands for the sake of a few. */
export function firstOf<T>(items: readonly T[], count: number, compare: (a: T, b: T) => number): T[] {
  if (count > FEW) return items.toSorted(compare).slice(0, count);
  const first: T[] = [];
  for (const item of items) {
    const last = first.at(-1);
    if (first.length >= count && (last === undefined || compare(item, last) >= 0)) continue;
    const at = first.findIndex((each) => compare(item, each) < 0);
    first.splice(at === -1 ? first.length : at, 0, item);
    if (first.length > count) first.pop();
  }
  return first;
}

/** Zone by zone, the oldest first. */
export function compareByZone(a: NodeAssessment, b: NodeAssessment): number {
  const [left, right] = [a.order, b.order];
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

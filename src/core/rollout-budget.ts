import type { RolloutSpec } from './api/rollout-spec.ts';
import type { NodeAssessment } from './rollout-node.ts';
import { compareForBatch, compareForCanary, compareForRollback, firstOf, zoneOf } from './rollout-order.ts';

/** How many of `matched` nodes may be unavailable at one time: a percentage rounds down, but to no less than 1. */
export function resolveMaxUnavailable(maxUnavailable: RolloutSpec['maxUnavailable'], matched: number): number {
  if (typeof maxUnavailable === 'number') return maxUnavailable;
  return Math.max(1, Math.floor((matched * Number.parseInt(maxUnavailable, 10)) / 100));
}

/** The slots of a rollout, counted from the nodes as they are. */
export interface Budget {
  readonly maxUnavailable: number;
  readonly unavailable: number;
  readonly inFlight: number;
  readonly failed: number;
}

/** `matched` counts the dead nodes too, which are not in `nodes`. */
export function countBudget(nodes: readonly NodeAssessment[], rollout: RolloutSpec, matched: number): Budget {
  return {
    maxUnavailable: resolveMaxUnavailable(rollout.maxUnavailable, matched),
    unavailable: nodes.filter(({ isUnavailable }) => isUnavailable).length,
    inFlight: nodes.filter(({ phase }) => phase === 'InFlight').length,
    failed: nodes.filter(({ phase }) => phase === 'Failed').length,
  };
}

/** Can be started now, as far as the node itself is concerned. */
export function isCandidate({ phase, isUnreachable, isLost, leftover, blocked }: NodeAssessment): boolean {
  return phase === 'Waiting' && !isUnreachable && !isLost && leftover === undefined && blocked === undefined;
}

/**
 * Gives slots out. Never more than `maxUnavailable` are under way together, and a node that serves starts only where with
 * it no more than `maxUnavailable` are unavailable, for whatever cause. A node that does not serve already counts as
 * unavailable, so it takes no further place: that lets a first installation begin, and a broken node be cured although it
 * fills the budget itself.
 */
export class SlotPicker {
  readonly #max: number;
  readonly picked: NodeAssessment[] = [];
  #unavailable: number;
  #inFlight: number;

  constructor({ maxUnavailable, unavailable, inFlight }: Budget) {
    this.#max = maxUnavailable;
    this.#unavailable = unavailable;
    this.#inFlight = inFlight;
  }

  pick(node: NodeAssessment): boolean {
    const cost = node.isUnavailable ? 0 : 1;
    if (this.#inFlight >= this.#max) return false;
    if (cost > 0 && this.#unavailable + cost > this.#max) return false;
    this.#unavailable += cost;
    this.#inFlight += 1;
    this.picked.push(node);
    return true;
  }

  /** For a node that is ill: it goes at once, since waiting for a slot would keep it from its own cure. */
  pickWithoutSlot(node: NodeAssessment): void {
    this.#inFlight += 1;
    this.picked.push(node);
  }
}

/** The canary: well nodes first, and ill ones where those find no slot, since they may be what takes it. */
export function pickCanary(
  picker: SlotPicker,
  candidates: readonly NodeAssessment[],
  wanted: number,
): NodeAssessment[] {
  const picked: NodeAssessment[] = [];
  for (const node of candidates.toSorted(compareForCanary)) {
    if (picked.length >= wanted) break;
    if (picker.pick(node)) picked.push(node);
  }
  return picked;
}

/** A batch: ill nodes first, then those of one zone. */
export function pickBatch(picker: SlotPicker, candidates: readonly NodeAssessment[]): NodeAssessment[] {
  const picked: NodeAssessment[] = [];
  const [first] = firstOf(candidates, 1, compareForBatch);
  const ofZone = candidates.filter((node) => first !== undefined && zoneOf(node) === zoneOf(first));
  for (const node of ofZone.sort(compareForBatch)) {
    if (!picker.pick(node)) break;
    picked.push(node);
  }
  return picked;
}

/** To the last completed revision: in any zone, as slots come free. */
export function pickSettling(picker: SlotPicker, candidates: readonly NodeAssessment[]): NodeAssessment[] {
  const picked: NodeAssessment[] = [];
  for (const node of candidates.toSorted(compareForBatch)) if (picker.pick(node)) picked.push(node);
  return picked;
}

/** Back from a rejected revision: what is ill on it goes at once, the rest within the slots, new nodes last. */
export function pickReturning(picker: SlotPicker, candidates: readonly NodeAssessment[]): NodeAssessment[] {
  const picked: NodeAssessment[] = [];
  const [managed, fresh] = [candidates.filter(({ state }) => state), candidates.filter(({ state }) => !state)];
  for (const node of [...managed.toSorted(compareForRollback), ...fresh.toSorted(compareForBatch)]) {
    const isIll = node.state !== undefined && node.isUnavailable;
    if (isIll) picker.pickWithoutSlot(node);
    else if (!picker.pick(node)) continue;
    picked.push(node);
  }
  return picked;
}

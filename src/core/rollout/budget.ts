import type { RolloutSpec } from '../api/rollout-spec.ts';
import { FACT } from './facts.ts';
import type { NodeAssessment } from './node.ts';
import type { Roster } from './roster.ts';
import { compareForBatch, compareForCanary, compareForRollback, firstOf, zoneOf } from './order.ts';

/** How many of `matched` nodes: a percentage rounds down, but to no less than 1. */
export function resolveShare(share: RolloutSpec['maxUnavailable'], matched: number): number {
  if (typeof share === 'number') return share;
  return Math.max(1, Math.floor((matched * Number.parseInt(share, 10)) / 100));
}

/** The slots of a rollout, counted from the nodes as they are. */
export interface Budget {
  readonly maxUnavailable: number;
  readonly unavailable: number;
  readonly inFlight: number;
  readonly failed: number;
}

/** A percentage is one of all nodes, the dead ones among them. */
export function countBudget(nodes: Roster, rollout: RolloutSpec): Budget {
  return {
    maxUnavailable: resolveShare(rollout.maxUnavailable, nodes.matched),
    unavailable: nodes.count(FACT.unavailable),
    inFlight: nodes.count(FACT.inFlight),
    failed: nodes.count(FACT.failed),
  };
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

  /** Nothing finds a place any more. */
  get isFull(): boolean {
    return this.#inFlight >= this.#max;
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
  if (picker.isFull) return picked;
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
  if (picker.isFull) return picked;
  for (const node of candidates.toSorted(compareForBatch)) if (picker.pick(node)) picked.push(node);
  return picked;
}

/** A node that serves loses nothing by waiting, and all nodes may have gone blind at once. */
function isIll({ state, isUnavailable, isBlind }: NodeAssessment): boolean {
  return state !== undefined && isUnavailable && !isBlind;
}

/** Back from a rejected revision: what is ill on it goes at once, the rest within the slots, new nodes last. */
export function pickReturning(picker: SlotPicker, candidates: readonly NodeAssessment[]): NodeAssessment[] {
  const picked: NodeAssessment[] = [];
  const open = picker.isFull ? candidates.filter(isIll) : candidates;
  const [managed, fresh] = [open.filter(({ state }) => state), open.filter(({ state }) => !state)];
  for (const node of [...managed.toSorted(compareForRollback), ...fresh.toSorted(compareForBatch)]) {
    if (isIll(node)) picker.pickWithoutSlot(node);
    else if (!picker.pick(node)) continue;
    picked.push(node);
  }
  return picked;
}

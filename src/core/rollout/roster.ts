import { FACT, type FactScope, factsOf } from './facts.ts';
import type { NodeAssessment } from './node.ts';

/** What is known of the nodes of one profile, in columns: one place in each for each node, in the order of names. */
export interface RosterColumns {
  readonly nodes: NodeAssessment[];
  readonly facts: Int32Array;
  /** -1 for none. */
  readonly batches: Int32Array;
  /** When it was last granted or settled; 0 for never. */
  readonly movedAtMs: Float64Array;
  readonly changesAtMs: Float64Array;
}

export function newColumns(length: number): RosterColumns {
  return {
    nodes: new Array<NodeAssessment>(length),
    facts: new Int32Array(length),
    batches: new Int32Array(length),
    movedAtMs: new Float64Array(length),
    changesAtMs: new Float64Array(length),
  };
}

export function setColumns(columns: RosterColumns, at: number, node: NodeAssessment, scope: FactScope): void {
  columns.nodes[at] = node;
  columns.facts[at] = factsOf(node, scope);
  columns.batches[at] = node.batch ?? -1;
  columns.movedAtMs[at] = Math.max(node.grantedAtMs ?? 0, node.settledAtMs ?? 0);
  columns.changesAtMs[at] = node.changesAtMs;
}

/**
 * The nodes of one profile at one moment. Everything but `matched`, `dead`, `countMatched` and `wakesAtMs` leaves out those that
 * have been dead for too long. Lists are in the order of names.
 */
export class Roster {
  readonly #columns: RosterColumns;
  readonly #scope: FactScope;
  readonly length: number;

  constructor(columns: RosterColumns, scope: FactScope) {
    this.#columns = columns;
    this.#scope = scope;
    this.length = this.count(0);
  }

  /** How many there are, the dead among them. */
  get matched(): number {
    return this.#columns.nodes.length;
  }

  /** Those of which all of `has` and none of `hasNot` is so. */
  where(has: number, hasNot = 0): NodeAssessment[] {
    return this.#find(has, hasNot | FACT.skipped);
  }

  dead(): NodeAssessment[] {
    return this.#find(FACT.skipped, 0);
  }

  count(has: number, hasNot = 0): number {
    return this.#count(has, hasNot | FACT.skipped);
  }

  countMatched(has: number): number {
    return this.#count(has, 0);
  }

  ofBatch(batch: number, has: number): NodeAssessment[] {
    const { nodes, facts, batches } = this.#columns;
    return nodes.filter((_, at) => batches[at] === batch && ((facts[at] ?? 0) & (has | FACT.skipped)) === has);
  }

  /** The numbers of the batches that have such nodes, from the first to the last. */
  batches(has: number, hasNot = 0): number[] {
    const { facts, batches } = this.#columns;
    const numbers = new Set<number>();
    const none = hasNot | FACT.skipped;
    facts.forEach((fact, at) => {
      const batch = batches[at] ?? -1;
      if (batch >= 0 && (fact & has) === has && (fact & none) === 0) numbers.add(batch);
    });
    return [...numbers].sort((a, b) => a - b);
  }

  /** When a node was last granted or settled; 0 for never. */
  lastMovedAtMs(): number {
    const { facts, movedAtMs } = this.#columns;
    let last = 0;
    movedAtMs.forEach((ms, at) => {
      if (ms > last && ((facts[at] ?? 0) & FACT.skipped) === 0) last = ms;
    });
    return last;
  }

  /** When time alone changes what is known of some node; Infinity for never. */
  wakesAtMs(): number {
    return this.#columns.changesAtMs.reduce((first, ms) => Math.min(first, ms), Infinity);
  }

  /** All, the dead among them, of which `has` is so, or that moved after `atMs`. */
  hasOrMovedAfter(has: number, atMs: number): NodeAssessment[] {
    const { nodes, facts, movedAtMs } = this.#columns;
    return nodes.filter((_, at) => ((facts[at] ?? 0) & has) === has || (movedAtMs[at] ?? 0) > atMs);
  }

  /** With others in the places of some. */
  replace(others: ReadonlyMap<NodeAssessment, NodeAssessment>): Roster {
    if (others.size === 0) return this;
    const { nodes, facts, batches, movedAtMs, changesAtMs } = this.#columns;
    const columns = {
      nodes: [...nodes],
      facts: facts.slice(),
      batches: batches.slice(),
      movedAtMs: movedAtMs.slice(),
      changesAtMs: changesAtMs.slice(),
    };
    for (const [old, other] of others) setColumns(columns, this.#placeOf(old), other, this.#scope);
    return new Roster(columns, this.#scope);
  }

  #placeOf({ node: { metadata } }: NodeAssessment): number {
    const { nodes } = this.#columns;
    let [from, to] = [0, nodes.length - 1];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((nodes[middle]?.node.metadata.name ?? '') < metadata.name) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  #find(has: number, hasNot: number): NodeAssessment[] {
    const { nodes, facts } = this.#columns;
    const found: NodeAssessment[] = [];
    const all = has | hasNot;
    for (let at = 0; at < facts.length; at += 1) {
      const node = nodes[at];
      if (((facts[at] ?? 0) & all) === has && node !== undefined) found.push(node);
    }
    return found;
  }

  #count(has: number, hasNot: number): number {
    const { facts } = this.#columns;
    const all = has | hasNot;
    let count = 0;
    for (let at = 0; at < facts.length; at += 1) if (((facts[at] ?? 0) & all) === has) count += 1;
    return count;
  }
}

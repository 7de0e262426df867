import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { FactScope } from './facts.ts';
import type { NodeAssessment, RolloutNode } from './node.ts';
import { newColumns, Roster, setColumns, type RosterColumns } from './roster.ts';

/** How the nodes of a profile are judged now. */
export interface Judge {
  /** Equal for equal judgements of equal objects at an equal time, but for `knows`. */
  readonly key: string;
  readonly scope: FactScope;
  readonly nowMs: number;
  readonly assess: (node: RolloutNode, state: NodeProxyState | undefined) => NodeAssessment;
  /** Whether the configuration of a revision is known. */
  readonly knows: (revision: string) => boolean;
}

/** Nodes, and the state of that name of each, in two columns. */
export interface NodeColumns {
  readonly nodes: readonly RolloutNode[];
  readonly states: readonly (NodeProxyState | undefined)[];
}

/**
 * What is known of the nodes of one profile, kept from one plan to the next. Only what changed is judged anew: of thousands
 * of nodes, few change between two plans. Objects are replaced when they change, never changed.
 */
export class RosterMemo {
  #key: string | undefined;
  #nowMs = 0;
  #nodes: RolloutNode[] = [];
  #states: (NodeProxyState | undefined)[] = [];
  #columns: RosterColumns = newColumns(0);
  /** Of each revision that a node is brought to, whether it was known. */
  #goals = new Map<string, boolean>();

  /** Valid until it is called again. */
  judge({ nodes, states }: NodeColumns, judge: Judge): Roster {
    const mayKeep = this.#mayKeep(nodes.length, judge);
    if (!mayKeep) {
      this.#key = undefined;
      this.#columns = newColumns(nodes.length);
      this.#nodes = new Array<RolloutNode>(nodes.length);
      this.#states = new Array<NodeProxyState | undefined>(nodes.length);
      this.#goals = new Map();
    }
    const { changesAtMs } = this.#columns;
    nodes.forEach((node, at) => {
      const state = states[at];
      const isSame = this.#nodes[at] === node && this.#states[at] === state;
      if (isSame && judge.nowMs < (changesAtMs[at] ?? 0)) return;
      const assessment = judge.assess(node, state);
      if (!this.#goals.has(assessment.goal)) this.#goals.set(assessment.goal, judge.knows(assessment.goal));
      setColumns(this.#columns, at, assessment, judge.scope);
      this.#nodes[at] = node;
      this.#states[at] = state;
    });
    this.#key = judge.key;
    this.#nowMs = judge.nowMs;
    return new Roster(this.#columns, judge.scope);
  }

  #mayKeep(length: number, { key, nowMs, knows }: Judge): boolean {
    if (this.#key !== key || this.#columns.nodes.length !== length || nowMs < this.#nowMs) return false;
    return [...this.#goals].every(([revision, wasKnown]) => knows(revision) === wasKnown);
  }
}

import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { RolloutNode } from './node.ts';

interface Named {
  readonly metadata: { readonly name: string };
}

function compareNames(a: Named, b: Named): number {
  return a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0;
}

/** A list in the order of names that follows another one, whatever the order of that. */
class SortedList<T extends Named> {
  items: T[] = [];
  #given: readonly T[] = [];
  /** Of each place in the given list, the one in `items`. */
  #places: number[] = [];

  /** Calls `changed` for each place that has another object of the same name; false when names came, went or moved. */
  update(given: readonly T[], changed: (at: number) => void): boolean {
    const before = this.#given;
    this.#given = [...given];
    if (before.length !== given.length) return this.#sort();
    for (const [index, item] of given.entries()) {
      const old = before[index];
      if (old === item) continue;
      if (old?.metadata.name !== item.metadata.name) return this.#sort();
      const at = this.#places[index] ?? 0;
      this.items[at] = item;
      changed(at);
    }
    return true;
  }

  #sort(): false {
    const order = this.#given.map((item, index) => ({ item, index })).sort((a, b) => compareNames(a.item, b.item));
    this.items = order.map(({ item }) => item);
    this.#places = new Array<number>(order.length);
    order.forEach(({ index }, at) => (this.#places[index] = at));
    return false;
  }
}

/** The nodes in the order of their names, each with the state of its name; kept from one plan to the next. */
export class NodePairs {
  readonly #nodes = new SortedList<RolloutNode>();
  readonly #states = new SortedList<NodeProxyState>();
  /** Of each state, the place of its node; -1 for none. */
  #nodeAt: number[] = [];
  #leftovers = new Set<number>();
  states: (NodeProxyState | undefined)[] = [];

  get nodes(): readonly RolloutNode[] {
    return this.#nodes.items;
  }

  /** Valid until it is called again. */
  update(nodes: readonly RolloutNode[], states: readonly NodeProxyState[]): void {
    const changed: number[] = [];
    const changedStates: number[] = [];
    const hasNodes = this.#nodes.update(nodes, (at) => changed.push(at));
    const hasStates = this.#states.update(states, (at) => changedStates.push(at));
    if (!hasNodes || !hasStates) return this.#pair();
    for (const index of changedStates) {
      const at = this.#nodeAt[index] ?? -1;
      if (at === -1) continue;
      this.states[at] = this.#states.items[index];
      changed.push(at);
    }
    for (const at of changed) this.#look(at);
  }

  /** States of earlier nodes of these names. */
  leftovers(): NodeProxyState[] {
    return [...this.#leftovers].sort((a, b) => a - b).flatMap((at) => this.states[at] ?? []);
  }

  #pair(): void {
    const places = new Map(this.nodes.map(({ metadata }, at) => [metadata.name, at]));
    this.states = new Array<NodeProxyState | undefined>(this.nodes.length).fill(undefined);
    this.#leftovers = new Set();
    this.#nodeAt = this.#states.items.map((state) => {
      const at = places.get(state.metadata.name) ?? -1;
      if (at !== -1) this.states[at] = state;
      return at;
    });
    this.nodes.forEach((_, at) => this.#look(at));
  }

  #look(at: number): void {
    const [node, state] = [this.nodes[at], this.states[at]];
    if (state !== undefined && state.spec.nodeUID !== node?.metadata.uid) this.#leftovers.add(at);
    else this.#leftovers.delete(at);
  }
}

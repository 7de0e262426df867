import type { NodeProxyState } from '../core/api/node-proxy-state.ts';
import { timeText } from '../core/time.ts';

/** Of one node, since when each thing has been wrong with it. */
interface Sightings {
  readonly uid: string | undefined;
  readonly sinceMs: ReadonlyMap<string, number>;
}

/**
 * Says since when nodes are ill by the clock of this process: that of a node may be hours wrong, and how long a node has been
 * ill decides whether its revision is good. What was there before this process looked is taken to have begun then.
 */
export class IllnessClock {
  readonly #seen = new Map<string, Sightings>();

  forget(node: string): void {
    this.#seen.delete(node);
  }

  /** The state with the times of what is wrong in it as seen here; the same one where nothing is. */
  stamp(state: NodeProxyState, nowMs: number): NodeProxyState {
    const { metadata, status } = state;
    const known = this.#seen.get(metadata.name);
    const before = known?.uid === metadata.uid ? known?.sinceMs : undefined;
    const sinceMs = new Map<string, number>();
    const see = (what: string): string => {
      const ms = before?.get(what) ?? nowMs;
      sinceMs.set(what, ms);
      return timeText(ms);
    };
    const conditions = status?.conditions?.map((each) =>
      each.type === 'Ready' && each.status !== 'True' ? { ...each, lastTransitionTime: see('Ready') } : each,
    );
    const probes = status?.probes?.map((each) =>
      each.result === 'Fail' ? { ...each, at: see(`probe ${each.name}`) } : each,
    );
    if (sinceMs.size === 0) {
      this.#seen.delete(metadata.name);
      return state;
    }
    this.#seen.set(metadata.name, { uid: metadata.uid, sinceMs });
    return { ...state, status: { ...status, ...(conditions && { conditions }), ...(probes && { probes }) } };
  }
}

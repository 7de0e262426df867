import { isGone } from '../../core/kube-proxy/kube-proxy.ts';
import type { Successor } from '../../kernel/kube-proxy/removal.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import type { KubeProxyOnNode } from './kube-proxy.ts';

export interface LeftoversParts {
  readonly kubeProxy: KubeProxyOnNode;
  readonly clock: Clock;
  readonly log: Log;
}

/** How often virtual servers that carry connections, and failures, are looked at again. */
const AGAIN_MS = 5_000;
/** Somebody who makes them again and again is not fought. */
const MOST_REMOVALS = 5;
const WINDOW_MS = 3_600_000;

/** Removes what kube-proxy left on a node that it does not run on any more. */
export class KubeProxyLeftovers {
  readonly #parts: LeftoversParts;
  #dueMs = 0;
  #removals: number[] = [];

  constructor(parts: LeftoversParts) {
    this.#parts = parts;
  }

  /** When there is something to do, monotonic; Infinity when there is not. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** There may be something again. */
  note(): void {
    const { clock, log } = this.#parts;
    const nowMs = clock.monotonicMs();
    this.#removals = this.#removals.filter((atMs) => nowMs - atMs < WINDOW_MS);
    if (this.#removals.length < MOST_REMOVALS) this.#dueMs = Math.min(this.#dueMs, nowMs);
    else log.warn({}, 'somebody makes the rules of kube-proxy again and again; they are left alone for an hour');
  }

  /** Beside complete rules of `serving`. False when there is nothing to do now. */
  async removeOnce(serving: Successor): Promise<boolean> {
    const { kubeProxy, clock, log } = this.#parts;
    if (clock.monotonicMs() < this.#dueMs) return false;
    this.#dueMs = Infinity;
    if (!isGone(kubeProxy.sight())) return true;
    try {
      const { removed, kept, busy } = await kubeProxy.remove(serving);
      if (removed > 0 && busy === 0) this.#removals.push(clock.monotonicMs());
      if (removed > 0 || kept.length > 0) log.info({ removed, kept, busy }, 'removed what kube-proxy left');
      if (busy > 0) this.#dueMs = clock.monotonicMs() + AGAIN_MS;
    } catch (error) {
      log.warn({ problem: (error as Error).message }, 'cannot remove what kube-proxy left; trying again');
      this.#dueMs = clock.monotonicMs() + AGAIN_MS;
    }
    return true;
  }
}

import { AGENT_LEASE_MS } from '../core/node/agent-lease.ts';

/** API servers send a bookmark about once a minute: after a longer silence it is this process that hears nothing. */
const DEAF_AFTER_MS = 90_000;

interface Beat {
  /** What the Lease said; only a change of it is a sign of life. */
  readonly renewal: string;
  readonly heardMs: number;
}

/**
 * Which agents have not been heard for too long. Time counts by this process's own monotonic clock from the last change of
 * a Lease, so clocks of nodes need not be right; and it begins anew after this process itself was cut off, so an outage
 * of the API server makes nobody lost: neither one that ends the watch, nor one that goes on telling and takes no write. An agent that never had a Lease is none of this ledger's business.
 */
export class HeartbeatLedger {
  readonly #beats = new Map<string, Beat>();
  #signMs = -Infinity;

  /** Something came over the watch, whatever it was. */
  sign(nowMs: number): void {
    const wasDeaf = nowMs - this.#signMs > DEAF_AFTER_MS;
    this.#signMs = nowMs;
    if (wasDeaf) this.doubt(nowMs);
  }

  /** Somebody's write had no answer, or the server failed: who could not renew a Lease either is not lost for that. */
  doubt(nowMs: number): void {
    for (const [node, { renewal }] of this.#beats) this.#beats.set(node, { renewal, heardMs: nowMs });
  }

  hear(node: string, renewal: string, nowMs: number): void {
    this.sign(nowMs);
    if (this.#beats.get(node)?.renewal !== renewal) this.#beats.set(node, { renewal, heardMs: nowMs });
  }

  forget(node: string): void {
    this.#beats.delete(node);
  }

  lost(nowMs: number): ReadonlySet<string> {
    if (nowMs - this.#signMs > DEAF_AFTER_MS) return new Set();
    const isLost = ([, { heardMs }]: [string, Beat]) => nowMs - heardMs >= AGENT_LEASE_MS;
    return new Set([...this.#beats].filter(isLost).map(([node]) => node));
  }

  /** In how many milliseconds one more may be lost; Infinity when none can be. */
  nextLossInMs(nowMs: number): number {
    let next = Infinity;
    for (const { heardMs } of this.#beats.values()) {
      const inMs = heardMs + AGENT_LEASE_MS - nowMs;
      if (inMs > 0) next = Math.min(next, inMs);
    }
    return next;
  }
}

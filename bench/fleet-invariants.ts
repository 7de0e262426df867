import type { NodeProxyState } from '../src/core/api/node-proxy-state.ts';

export interface FleetRules {
  readonly maxInFlight: number;
  readonly zoneOf: (node: string) => string;
}

/** Follows the states of all nodes, event by event, and lists what a rollout must never do. Each event costs the same. */
export class FleetInvariants {
  readonly #rules: FleetRules;
  readonly #inFlight = new Map<string, string>();
  /** By revision and batch: its zone, and how many of its nodes have not ended. */
  readonly #batches = new Map<string, { zone: string; open: number }>();
  readonly #batchOf = new Map<string, string>();
  readonly violations: string[] = [];
  events = 0;
  mostInFlight = 0;
  failures = 0;

  constructor(rules: FleetRules) {
    this.#rules = rules;
  }

  observe({ metadata: { name }, spec: { attempt, revision }, status }: NodeProxyState): void {
    this.events += 1;
    const known = this.#inFlight.get(name);
    if (attempt === undefined) return this.#end(name);
    const isOver = status?.attempt?.id === attempt.id;
    if (known !== attempt.id && !isOver) this.#begin(name, attempt.id, revision, attempt.batch);
    if (isOver) {
      if (known === attempt.id && status.attempt?.phase === 'RolledBack') this.failures += 1;
      this.#end(name);
    }
  }

  #begin(name: string, attempt: string, revision: string, batch: number | undefined): void {
    this.#inFlight.set(name, attempt);
    this.mostInFlight = Math.max(this.mostInFlight, this.#inFlight.size);
    if (this.#inFlight.size > this.#rules.maxInFlight) this.#say(`${this.#inFlight.size} nodes are under way`);
    if (batch === undefined) return;
    const before = this.#batches.get(`${revision} ${batch - 1}`);
    if ((before?.open ?? 0) > 0)
      this.#say(`${name} began batch ${batch} while ${before?.open} of the one before are open`);
    const key = `${revision} ${batch}`;
    const zone = this.#rules.zoneOf(name);
    const own = this.#batches.get(key) ?? { zone, open: 0 };
    if (batch > 0 && own.zone !== zone) this.#say(`batch ${batch} is in ${own.zone} and in ${zone}`);
    own.open += 1;
    this.#batches.set(key, own);
    this.#batchOf.set(name, key);
  }

  #end(name: string): void {
    if (!this.#inFlight.delete(name)) return;
    const own = this.#batches.get(this.#batchOf.get(name) ?? '');
    if (own !== undefined) own.open -= 1;
    this.#batchOf.delete(name);
  }

  #say(violation: string): void {
    if (this.violations.length < 20) this.violations.push(violation);
  }
}

import type { CustomGate } from '../api/rollout-spec.ts';

/** What a gate says so far of the batch that changed last. */
export interface GateResult {
  readonly outcome: 'Running' | 'Passed' | 'Failed' | 'Inconclusive';
  readonly message: string;
}

/** A gate that is to be asked now. `key` names the try: another revision, batch or token is another one. */
export interface GateRequest {
  readonly key: string;
  readonly profile: string;
  readonly gate: CustomGate;
}

/** By the key of the request. */
export type GateResults = ReadonlyMap<string, GateResult>;

export interface GateFinding extends GateResult {
  readonly name: string;
}

export function findGates(requests: readonly GateRequest[], results: GateResults): GateFinding[] {
  return requests.map(({ key, gate }) => ({
    name: gate.name,
    ...(results.get(key) ?? { outcome: 'Running', message: 'not asked yet' }),
  }));
}

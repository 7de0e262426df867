import type { ProxyProfile } from '../api/proxy-profile.ts';
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

/** The batch of which gates are asked, and the profile whose status may say what an earlier controller heard. */
export interface GateScene {
  readonly profile: ProxyProfile;
  readonly target: string;
  readonly batch: number | undefined;
  readonly requests: readonly GateRequest[];
  readonly results: GateResults;
}

/** What the status says of a gate, where it speaks of this very batch and spec. */
function toldOf({ profile: { metadata, status }, target, batch }: GateScene, name: string): GateFinding | undefined {
  const isOfBatch = status?.revision?.target === target && status.rollout?.batch === batch;
  if (!isOfBatch || status.observedGeneration !== metadata.generation) return undefined;
  const told = status.gates?.find((gate) => gate.name === name);
  return told === undefined ? undefined : { name, outcome: told.result, message: told.message };
}

/** The gates as they stand, and those that are still to be asked. */
export interface Gates {
  readonly findings: readonly GateFinding[];
  readonly requests: readonly GateRequest[];
}

/**
 * A controller that takes over asks anew, but for gates that have failed: they stay failed until the spec changes. One that
 * had no data goes on having none until it has been asked.
 */
export function findGates(scene: GateScene): Gates {
  const findings = scene.requests.map(({ key, gate: { name } }): GateFinding => {
    const heard = scene.results.get(key);
    if (heard !== undefined) return { name, ...heard };
    const told = toldOf(scene, name);
    const isKept = told?.outcome === 'Failed' || told?.outcome === 'Inconclusive';
    return isKept ? told : { name, outcome: 'Running', message: 'no answer yet' };
  });
  const isOver = (index: number, key: string) => findings[index]?.outcome === 'Failed' && !scene.results.has(key);
  return { findings, requests: scene.requests.filter(({ key }, index) => !isOver(index, key)) };
}

import { durationMs } from '../../core/api/meta.ts';
import type { CustomGate } from '../../core/api/rollout-spec.ts';
import type { GateRequest, GateResult, GateResults } from '../../core/rollout/gates.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';

/** What one measurement of a gate found. */
export type Measurement =
  | { readonly kind: 'Pass' | 'Fail'; readonly message: string }
  /** Nobody knows: not an answer that is bad, but no answer. */
  | { readonly kind: 'NoData'; readonly message: string };

export interface GateTry {
  readonly gate: CustomGate;
  readonly profile: string;
  /** Of the request; the same key and turn mean the same measurement, also after a restart. */
  readonly key: string;
  readonly turn: number;
}

/** Asks once. What it throws counts as no data. */
export type GateProbe = (one: GateTry, signal: AbortSignal) => Promise<Measurement>;

export interface GateRunnerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly probe: GateProbe;
  /** The outcome of a gate is another one than before, or there are no data for another reason. */
  readonly onChange: () => void;
  readonly onMeasurement: (profile: string, gate: string, kind: Measurement['kind']) => void;
}

interface Tally {
  passed: number;
  failed: number;
}

/** A Job says everything at once. */
export function measurementsNeeded({ count, job }: CustomGate): number {
  return count ?? (job === undefined ? 5 : 1);
}

function add(tally: Tally, { onNoData }: CustomGate, { kind }: Measurement): boolean {
  const counted = kind === 'NoData' ? onNoData : kind;
  if (counted === 'Pass') tally.passed += 1;
  if (counted === 'Fail') tally.failed += 1;
  return counted !== 'Inconclusive';
}

function resultOf(gate: CustomGate, tally: Tally, isKnown: boolean, message: string): GateResult {
  const needed = measurementsNeeded(gate);
  const count = `${tally.passed} of ${needed} measurements passed`;
  if (tally.failed >= gate.failureLimit) return { outcome: 'Failed', message };
  if (tally.passed >= needed) return { outcome: 'Passed', message: count };
  return isKnown ? { outcome: 'Running', message: count } : { outcome: 'Inconclusive', message };
}

/**
 * Asks the gates that the planner wants asked, each in its own rhythm, until they have passed or failed or are wanted no
 * more. A gate without data is asked on, so that it ends its pause by itself.
 */
export class GateRunner {
  readonly #parts: GateRunnerParts;
  readonly #running = new Map<string, AbortController>();
  readonly #results = new Map<string, GateResult>();

  constructor(parts: GateRunnerParts) {
    this.#parts = parts;
  }

  get results(): GateResults {
    return this.#results;
  }

  /** From now on these and no others; what is not wanted is forgotten. */
  update(requests: readonly GateRequest[]): void {
    const wanted = new Set(requests.map(({ key }) => key));
    for (const [key, running] of this.#running) {
      if (wanted.has(key)) continue;
      running.abort();
      this.#running.delete(key);
      this.#results.delete(key);
    }
    for (const request of requests) {
      if (this.#running.has(request.key)) continue;
      const running = new AbortController();
      this.#running.set(request.key, running);
      void this.#run(request, running.signal);
    }
  }

  stop(): void {
    this.update([]);
  }

  async #run({ key, profile, gate }: GateRequest, signal: AbortSignal): Promise<void> {
    const { clock, onChange, onMeasurement } = this.#parts;
    const tally: Tally = { passed: 0, failed: 0 };
    let turn = 0;
    while (!signal.aborted) {
      const { wasAsked, measured } = await this.#measure({ gate, profile, key, turn }, signal);
      if (signal.aborted) return;
      onMeasurement(profile, gate.name, measured.kind);
      // What could not be asked is asked again, not followed by another one of another name.
      if (wasAsked) turn += 1;
      const result = resultOf(gate, tally, add(tally, gate, measured), measured.message);
      const before = this.#results.get(key);
      this.#results.set(key, result);
      // Why there are no data is for people to see as it changes; a count of measurements can wait.
      const isNews = result.outcome === 'Inconclusive' && before?.message !== result.message;
      if (before?.outcome !== result.outcome || isNews) onChange();
      if (result.outcome === 'Passed' || result.outcome === 'Failed') return;
      await clock.sleep(durationMs(gate.interval), signal);
    }
  }

  async #measure(
    one: GateTry,
    signal: AbortSignal,
  ): Promise<{ readonly wasAsked: boolean; readonly measured: Measurement }> {
    try {
      return { wasAsked: true, measured: await this.#parts.probe(one, signal) };
    } catch (error) {
      const message = (error as Error).message;
      if (!signal.aborted) this.#parts.log.warn({ gate: one.gate.name, problem: message }, 'a gate could not be asked');
      return { wasAsked: false, measured: { kind: 'NoData', message } };
    }
  }
}

import { converse } from './conversation.ts';
import type { Outcome, ProbeResult, ProbeSpec, Reply } from './messages.ts';
import { outcomeOf } from './outcome.ts';

const CONCURRENT = 16;

async function once(spec: ProbeSpec): Promise<Reply | Exclude<Outcome, 'ok'>> {
  const conversation = converse(spec);
  try {
    return await conversation.ask(spec.timeoutMs);
  } catch (error) {
    const outcome = outcomeOf(error);
    return outcome === 'ok' ? 'reset' : outcome;
  } finally {
    conversation.close();
  }
}

function attempt(spec: ProbeSpec, index: number): ProbeSpec {
  const sourcePort = spec.sourcePorts?.[index];
  return sourcePort === undefined ? spec : { ...spec, sourcePort };
}

function summarise(results: readonly (Reply | Exclude<Outcome, 'ok'>)[]): ProbeResult {
  const outcomes: Partial<Record<Outcome, number>> = {};
  const backends: Record<string, number> = {};
  const sources = new Set<string>();
  for (const result of results) {
    const outcome = typeof result === 'string' ? result : 'ok';
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (typeof result === 'string') continue;
    backends[result.identity] = (backends[result.identity] ?? 0) + 1;
    sources.add(result.source);
  }
  const [first, ...others] = Object.keys(outcomes) as Outcome[];
  const outcome = first !== undefined && others.length === 0 ? first : 'mixed';
  return { outcome, outcomes, backends, sources: [...sources].sort() };
}

/** Makes `count` attempts, some at a time (one at a time from a fixed source port), and sums them up. */
export async function runProbe(spec: ProbeSpec): Promise<ProbeResult> {
  const results: (Reply | Exclude<Outcome, 'ok'>)[] = [];
  const step = spec.sourcePort === undefined ? CONCURRENT : 1;
  for (let done = 0; done < spec.count; done += step) {
    const batch = Array.from({ length: Math.min(step, spec.count - done) }, (_, index) =>
      once(attempt(spec, done + index)),
    );
    results.push(...(await Promise.all(batch)));
  }
  return summarise(results);
}

import { assert as assertOnce, type IProperty, type Parameters } from 'fast-check';

/** Any number will do; it only has to stay the same, so that a run of CI fails by a change and never by chance. */
const FIXED_SEED = 20_260_101;

/** `SWITCHYARD_SEED` is a number, or `random` to explore what no run has seen before. */
function seedOf(text: string | undefined): number {
  if (text === undefined) return FIXED_SEED;
  return text === 'random' ? Math.floor(Math.random() * 0x7fff_ffff) : Number(text);
}

/**
 * `assert` of fast-check with the same cases in every run. For a long search, `SWITCHYARD_SEED=random` takes other ones
 * and `SWITCHYARD_RUNS=50` takes fifty times as many; a failure names the seed and the path that repeat it.
 */
export function assertProperty<T>(property: IProperty<T>, parameters: Parameters<T> = {}): void {
  const { numRuns = 100 } = parameters;
  const factor = Number(process.env['SWITCHYARD_RUNS'] ?? '1');
  void assertOnce(property, { seed: seedOf(process.env['SWITCHYARD_SEED']), ...parameters, numRuns: numRuns * factor });
}

/** What an agent always tries from its node, before a change and after it; a profile may name further probes. */
export const BUILTIN_PROBES = ['APIServerDirect', 'APIServerClusterIP', 'ClusterDNS'] as const;
export type BuiltinProbe = (typeof BUILTIN_PROBES)[number];

export interface ProbeOutcome {
  /** One of the built-in ones, or a name that the profile gives. */
  readonly name: string;
  readonly result: 'Pass' | 'Fail';
  /** Why it failed; empty when it passed. */
  readonly message: string;
}

/** What passed before the change and fails now. What failed before says nothing about the change. */
export function regressions(baseline: readonly ProbeOutcome[], now: readonly ProbeOutcome[]): ProbeOutcome[] {
  const passed = new Set(baseline.filter(({ result }) => result === 'Pass').map(({ name }) => name));
  return now.filter(({ name, result }) => result === 'Fail' && passed.has(name));
}

/** What the profile names and fails. A node that cannot reach it before a change is no candidate for the change. */
export function failingBefore(now: readonly ProbeOutcome[]): ProbeOutcome[] {
  const builtin: readonly string[] = BUILTIN_PROBES;
  return now.filter(({ name, result }) => result === 'Fail' && !builtin.includes(name));
}

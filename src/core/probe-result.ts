/** What an agent tries from its node, before a change and after it. */
export const PROBES = ['APIServerDirect', 'APIServerClusterIP', 'ClusterDNS'] as const;
export type ProbeName = (typeof PROBES)[number];

export interface ProbeOutcome {
  readonly name: ProbeName;
  readonly result: 'Pass' | 'Fail';
  /** Why it failed; empty when it passed. */
  readonly message: string;
}

/** What passed before the change and fails now. What failed before says nothing about the change. */
export function regressions(baseline: readonly ProbeOutcome[], now: readonly ProbeOutcome[]): ProbeOutcome[] {
  const passed = new Set(baseline.filter(({ result }) => result === 'Pass').map(({ name }) => name));
  return now.filter(({ name, result }) => result === 'Fail' && passed.has(name));
}

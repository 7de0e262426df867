export const LEVELS = ['ControlPlane', 'DataPlane', 'Environment'] as const;
/** Where the cause lies: in the cluster's objects, in what a node's kernel holds, or in what surrounds it. */
export type Level = (typeof LEVELS)[number];

/** Something that is wrong, with what a person needs to believe it and to go on. */
export interface Finding {
  /** One word, stable, for programs. */
  readonly code: string;
  readonly level: Level;
  /** 0 to 100: how likely this is the cause of what somebody came for. */
  readonly likelihood: number;
  /** What it is about, such as `service/shop/web` or `node/n1`; several of one kind are one finding. */
  readonly subjects: readonly string[];
  /** What is wrong, in one sentence. */
  readonly summary: string;
  /** What was seen, by which it is known. */
  readonly evidence: readonly string[];
  /** What follows from it for traffic. */
  readonly consequence: string;
  /** The command to run next. */
  readonly next: string;
}

/** The most likely first; then the control plane before nodes, and by name. */
export function compareFindings(a: Finding, b: Finding): number {
  return (
    b.likelihood - a.likelihood ||
    LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) ||
    (a.subjects[0] ?? '').localeCompare(b.subjects[0] ?? '') ||
    a.code.localeCompare(b.code)
  );
}

/** Findings that say the same of several subjects, as one: evidence of the first few is kept. */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const merged = new Map<string, Finding>();
  for (const finding of findings) {
    const key = `${finding.code}\n${finding.level}\n${finding.summary}`;
    const known = merged.get(key);
    if (known === undefined) {
      merged.set(key, finding);
      continue;
    }
    merged.set(key, {
      ...known,
      likelihood: Math.max(known.likelihood, finding.likelihood),
      subjects: [...new Set([...known.subjects, ...finding.subjects])],
      evidence: [...known.evidence, ...finding.evidence].slice(0, 8),
    });
  }
  return [...merged.values()].sort(compareFindings);
}

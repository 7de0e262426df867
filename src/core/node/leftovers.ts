import type { Mode } from '../mode.ts';
import { timeText } from '../time.ts';

/** A mode that does not serve, and why its rules are there still, or why they cannot be looked for. */
export interface LeftoverProblem {
  readonly mode: Mode;
  readonly problem: string;
}

/** What was seen of the modes that do not serve, when they were looked at last. */
export interface LeftoverSight {
  /** Rules of ours that could not be removed. */
  readonly left: readonly LeftoverProblem[];
  readonly unseen: readonly LeftoverProblem[];
}

/** A mode that takes no new connections and goes when the old ones have ended. */
export interface DrainView {
  readonly mode: Mode;
  /** Wall clock. */
  readonly sinceMs: number;
  /** When connections that are left are cut off; wall clock. */
  readonly deadlineAtMs: number;
}

export interface LeftoverOutcome {
  readonly name: 'NoLeftovers';
  readonly result: 'Pass' | 'Fail' | 'Inconclusive';
  readonly message: string;
}

const list = (problems: readonly LeftoverProblem[]) =>
  problems.map(({ mode, problem }) => `${mode} mode (${problem})`).join(', ');

/** What the gate NoLeftovers says: whether the node holds rules of ours beside those that serve. */
export function leftoverOutcome({ left, unseen }: LeftoverSight, draining: DrainView | null): LeftoverOutcome {
  const name = 'NoLeftovers';
  if (left.length > 0) {
    return { name, result: 'Fail', message: `rules are left of ${list(left)}; their removal is tried again` };
  }
  if (unseen.length > 0) {
    return { name, result: 'Inconclusive', message: `cannot look for rules of ${list(unseen)}; it is tried again` };
  }
  if (draining === null) return { name, result: 'Pass', message: '' };
  const { mode, deadlineAtMs } = draining;
  const message = `${mode} mode keeps its connections until they end, at the latest ${timeText(deadlineAtMs)}; see status.draining`;
  return { name, result: 'Pass', message };
}

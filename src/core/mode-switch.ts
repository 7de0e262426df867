import type { AttemptPhase } from './api/node-proxy-state.ts';
import type { RenderedConfig } from './api/node-proxy-state.ts';
import type { ProbeOutcome } from './probe-result.ts';

/** What serves, or is to serve: a revision and everything it says. */
export interface Serving {
  readonly revision: string;
  readonly config: RenderedConfig;
}

/**
 * One try at bringing a node to another revision. Two modes stand in the kernel side by side from Program until the end
 * of Commit, and both follow every change of Services, so that whichever of them sees a packet serves it.
 */
export interface Attempt {
  readonly id: string;
  /** What serves until the attempt is committed; null on a node where nothing of ours served. */
  readonly from: Serving | null;
  readonly to: Serving;
  readonly phase: AttemptPhase;
  readonly startedAtMs: number;
  /** After this moment the node goes back by itself; null for no limit. */
  readonly deadlineAtMs: number | null;
  /** What the probes said before anything was touched. */
  readonly baseline: readonly ProbeOutcome[];
  readonly failure: AttemptFailure | null;
}

export interface AttemptFailure {
  readonly phase: AttemptPhase;
  /** One word: PreflightFailed, ProgramFailed, VerifyFailed, CommitFailed, DeadlineExceeded, RollbackFailed, ... */
  readonly code: string;
  readonly message: string;
}

export type AttemptEvent =
  | { readonly kind: 'stepDone'; readonly baseline?: readonly ProbeOutcome[] }
  | {
      readonly kind: 'stepFailed';
      readonly code: string;
      readonly message: string;
      /** The step will be tried again; only the way back is. */
      readonly mayRetry?: boolean;
    };

/** How often the way back is tried before the attempt ends in Failed. */
export const ROLLBACK_TRIES = 10;

/**
 * What the agent must do next. Each step is idempotent: after a crash it is done again.
 * - `preflight`: find out whether the node can run the mode; touches nothing.
 * - `baseline`: note what the probes say; touches nothing.
 * - `prepare`: load modules and apply kernel settings, the originals on disk before.
 * - `program`: write the new mode beside the old one.
 * - `verify`: read the new mode back from the kernel.
 * - `commit`: remove the old mode, then read the new one back again.
 * - `soak`: what the probes said before they must say now.
 * - `rollback`: complete the old mode, then remove the new one.
 */
export type AttemptStep = 'preflight' | 'baseline' | 'prepare' | 'program' | 'verify' | 'commit' | 'soak' | 'rollback';

const STEPS = {
  Preflight: 'preflight',
  Baseline: 'baseline',
  Prepare: 'prepare',
  Program: 'program',
  Verify: 'verify',
  Commit: 'commit',
  Soak: 'soak',
  Committed: null,
  RollingBack: 'rollback',
  RolledBack: null,
  Failed: null,
} as const satisfies Record<AttemptPhase, AttemptStep | null>;

const AFTER = {
  Preflight: 'Baseline',
  Baseline: 'Prepare',
  Prepare: 'Program',
  Program: 'Verify',
  Verify: 'Commit',
  Commit: 'Soak',
  Soak: 'Committed',
  Committed: 'Committed',
  RollingBack: 'RolledBack',
  RolledBack: 'RolledBack',
  Failed: 'Failed',
} as const satisfies Record<AttemptPhase, AttemptPhase>;

export interface AttemptRequest {
  readonly id: string;
  readonly from: Serving | null;
  readonly to: Serving;
  readonly nowMs: number;
  readonly deadlineAtMs: number | null;
}

export function startAttempt({ id, from, to, nowMs, deadlineAtMs }: AttemptRequest): Attempt {
  return { id, from, to, phase: 'Preflight', startedAtMs: nowMs, deadlineAtMs, baseline: [], failure: null };
}

/** The step that the attempt waits for; null when it has ended. */
export function stepOf(attempt: Attempt): AttemptStep | null {
  return STEPS[attempt.phase];
}

export function isOver(attempt: Attempt): boolean {
  return STEPS[attempt.phase] === null;
}

/** Steps that take time and write nothing; the Services are followed meanwhile. */
export function isInBackground(attempt: Attempt): boolean {
  return attempt.phase === 'Baseline' || attempt.phase === 'Soak';
}

/** The old mode's rules are gone, or may be: only the new one serves. */
export function isPastCommit(attempt: Attempt): boolean {
  return attempt.phase === 'Commit' || attempt.phase === 'Soak';
}

/**
 * The attempt after an event. A failure leads back to the old mode. A way back that fails for good ends in Failed, with
 * both modes left as they are, because removing either could remove the one that serves; both go on following.
 */
export function advance(attempt: Attempt, event: AttemptEvent): Attempt {
  if (event.kind === 'stepDone') {
    const { baseline = attempt.baseline } = event;
    return { ...attempt, phase: AFTER[attempt.phase], baseline };
  }
  if (isOver(attempt)) return attempt;
  const failure = attempt.failure ?? { phase: attempt.phase, code: event.code, message: event.message };
  if (attempt.phase === 'RollingBack') {
    if (event.mayRetry === true) return attempt;
    const message = `${event.message}; went back because in ${failure.phase}: ${failure.message}`;
    return { ...attempt, phase: 'Failed', failure: { phase: 'RollingBack', code: 'RollbackFailed', message } };
  }
  return { ...attempt, phase: 'RollingBack', failure };
}

/** The deadman: past its deadline an attempt that is still on its way forward turns back. */
export function expire(attempt: Attempt, nowMs: number): Attempt {
  const forward = attempt.phase !== 'RollingBack' && !isOver(attempt);
  if (!forward || attempt.deadlineAtMs === null || nowMs < attempt.deadlineAtMs) return attempt;
  return advance(attempt, {
    kind: 'stepFailed',
    code: 'DeadlineExceeded',
    message: `not committed before its deadline; it was in phase ${attempt.phase}`,
  });
}

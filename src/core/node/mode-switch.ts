import type { AttemptPhase } from '../api/node-proxy-state.ts';
import type { RenderedConfig } from '../api/node-proxy-state.ts';
import type { ProbeOutcome } from './probe-result.ts';

/** What serves, or is to serve: a revision and everything it says. */
export interface Serving {
  readonly revision: string;
  readonly config: RenderedConfig;
}

/**
 * One try at bringing a node to another revision. Two modes stand in the kernel side by side from Program until the end
 * of Commit, and both follow every change of Services, so that whichever of them sees a packet serves it. The old one may
 * be kube-proxy, which follows by itself and which others must stop and start.
 */
export interface Attempt {
  readonly id: string;
  /** What serves until the attempt is committed; null on a node where nothing of ours served. */
  readonly from: Serving | null;
  readonly to: Serving;
  readonly phase: AttemptPhase;
  /** Nothing of ours served and kube-proxy ran when the attempt began: kube-proxy is what it takes over from. */
  readonly takesOver: boolean;
  /** Who stops kube-proxy and starts it. A person is waited for without limit. */
  readonly handoverBy: HandoverBy;
  readonly startedAtMs: number;
  /** After this moment the node goes back by itself; null for no limit. */
  readonly deadlineAtMs: number | null;
  /** What the probes said before anything was touched. */
  readonly baseline: readonly ProbeOutcome[];
  readonly failure: AttemptFailure | null;
}

export const HANDOVER_BY = ['controller', 'person'] as const;
export type HandoverBy = (typeof HANDOVER_BY)[number];

export interface AttemptFailure {
  readonly phase: AttemptPhase;
  /** One word: PreflightFailed, ProgramFailed, VerifyFailed, CommitFailed, DeadlineExceeded, RollbackFailed, ... */
  readonly code: string;
  readonly message: string;
}

export type AttemptEvent =
  | { readonly kind: 'stepDone'; readonly baseline?: readonly ProbeOutcome[]; readonly takesOver?: boolean }
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
 * - `handover`: wait until kube-proxy is gone, then read the new mode back again and probe; writes nothing.
 * - `commit`: remove the old mode, then read the new one back again.
 * - `soak`: what the probes said before they must say now.
 * - `await return`: wait until kube-proxy serves again; the new mode goes on serving until then. Never fails.
 * - `rollback`: complete the old mode, then remove the new one.
 */
export type AttemptStep =
  | 'preflight'
  | 'baseline'
  | 'prepare'
  | 'program'
  | 'verify'
  | 'handover'
  | 'commit'
  | 'soak'
  | 'awaitReturn'
  | 'rollback';

const STEPS = {
  Preflight: 'preflight',
  Baseline: 'baseline',
  Prepare: 'prepare',
  Program: 'program',
  Verify: 'verify',
  AwaitHandover: 'handover',
  Commit: 'commit',
  Soak: 'soak',
  Committed: null,
  AwaitReturn: 'awaitReturn',
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
  AwaitHandover: 'Commit',
  Commit: 'Soak',
  Soak: 'Committed',
  Committed: 'Committed',
  AwaitReturn: 'RollingBack',
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
  readonly handoverBy?: HandoverBy | undefined;
}

export function startAttempt({ nowMs, handoverBy = 'controller', ...request }: AttemptRequest): Attempt {
  return {
    ...request,
    phase: 'Preflight',
    takesOver: false,
    handoverBy,
    startedAtMs: nowMs,
    baseline: [],
    failure: null,
  };
}

/** Another try of a way back that failed. */
export function goBackAgain(attempt: Attempt): Attempt {
  if (attempt.phase !== 'Failed') return attempt;
  return { ...attempt, phase: attempt.takesOver ? 'AwaitReturn' : 'RollingBack' };
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
  return BACKGROUND.has(attempt.phase);
}

const BACKGROUND: ReadonlySet<AttemptPhase> = new Set(['Baseline', 'AwaitHandover', 'Soak', 'AwaitReturn']);

/** The old mode's rules are gone, or may be: only the new one serves. */
export function isPastCommit(attempt: Attempt): boolean {
  return attempt.phase === 'Commit' || attempt.phase === 'Soak';
}

/** Nothing but the new mode may serve: its rules stay and follow the Services, also after a restart of the agent. */
export function mayServeAlone(attempt: Attempt): boolean {
  return isPastCommit(attempt) || attempt.phase === 'AwaitHandover' || attempt.phase === 'AwaitReturn';
}

/** From here on kube-proxy may have been stopped for our sake, or its rules removed, or ours written beside it. */
const BESIDE_KUBE_PROXY: ReadonlySet<AttemptPhase> = new Set(['Program', 'Verify', 'AwaitHandover', 'Commit', 'Soak']);

function nextPhase({ phase, takesOver }: Attempt): AttemptPhase {
  return phase === 'Verify' && takesOver ? 'AwaitHandover' : AFTER[phase];
}

/**
 * The attempt after an event. A failure leads back to the old mode; the way back to kube-proxy begins with waiting for it.
 * A way back that fails for good ends in Failed, with both modes left as they are, because removing either could remove the
 * one that serves; both go on following.
 */
export function advance(attempt: Attempt, event: AttemptEvent): Attempt {
  if (event.kind === 'stepDone') {
    const { baseline = attempt.baseline, takesOver = attempt.takesOver } = event;
    return { ...attempt, phase: nextPhase(attempt), baseline, takesOver };
  }
  if (isOver(attempt)) return attempt;
  const failure = attempt.failure ?? { phase: attempt.phase, code: event.code, message: event.message };
  if (attempt.phase === 'RollingBack' || attempt.phase === 'AwaitReturn') {
    if (event.mayRetry === true) return attempt;
    const message = `${event.message}; went back because in ${failure.phase}: ${failure.message}`;
    return { ...attempt, phase: 'Failed', failure: { phase: attempt.phase, code: 'RollbackFailed', message } };
  }
  const isBeside = attempt.takesOver && BESIDE_KUBE_PROXY.has(attempt.phase);
  return { ...attempt, phase: isBeside ? 'AwaitReturn' : 'RollingBack', failure };
}

/** The deadman: past its deadline an attempt that is still on its way forward turns back. */
export function expire(attempt: Attempt, nowMs: number): Attempt {
  if (isOver(attempt) || nowMs < deadlineOf(attempt)) return attempt;
  return exceed(attempt, AFTER_DEADLINE[attempt.phase]);
}

/** The attempt whose deadline has passed; `why` it has not come further, as far as that is known. */
export function exceed(attempt: Attempt, why?: string): Attempt {
  const where = `not committed before its deadline; it was in phase ${attempt.phase}`;
  const message = why === undefined ? where : `${where}: ${why}`;
  return advance(attempt, { kind: 'stepFailed', code: 'DeadlineExceeded', message });
}

const AFTER_DEADLINE: Partial<Record<AttemptPhase, string>> = {
  AwaitHandover: 'kube-proxy was not stopped on this node',
};

/** When the attempt turns back by itself; Infinity when it does not. */
export function deadlineOf({ deadlineAtMs, takesOver, handoverBy, phase }: Attempt): number {
  const isForward = phase !== 'AwaitReturn' && phase !== 'RollingBack';
  return deadlineAtMs === null || !isForward || (takesOver && handoverBy === 'person') ? Infinity : deadlineAtMs;
}

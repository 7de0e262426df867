import { stepOf, type Attempt, type AttemptEvent, type AttemptStep } from '../core/mode-switch.ts';
import type { ImplementedMode } from '../core/mode.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { Difference } from '../kernel/dataplane.ts';
import type { ProgrammedMode } from './programmed-mode.ts';

/** What the steps of a switch act on. */
export interface SwitchGround {
  /** The mode's data plane, which follows every change of Services from now on. */
  open(mode: ImplementedMode): ProgrammedMode;
  /** The mode no longer follows; its rules are gone. */
  drop(mode: ImplementedMode): void;
  /** The newest state of the Services, already applied to what serves. */
  snapshot(): Snapshot;
  /** What this node lacks to run the mode, each with what to do about it; empty when it can. */
  missingFor(mode: ImplementedMode): Promise<readonly string[]>;
  /** Keeps NAT and conntrack alive while modes come and go. */
  ensureAnchor(): Promise<void>;
}

const FAILURE_CODES = {
  preflight: 'PreflightFailed',
  program: 'ProgramFailed',
  verify: 'VerifyFailed',
  commit: 'CommitFailed',
  rollback: 'RollbackFailed',
} as const satisfies Record<AttemptStep, string>;

/** Does the attempt's next step; a failure is an event, not an exception. */
export async function performStep(attempt: Attempt, ground: SwitchGround): Promise<AttemptEvent> {
  const step = stepOf(attempt);
  if (step === null) return { kind: 'stepDone' };
  try {
    await STEPS[step](attempt, ground);
    return { kind: 'stepDone' };
  } catch (error) {
    return { kind: 'stepFailed', code: FAILURE_CODES[step], message: (error as Error).message };
  }
}

const STEPS: Record<AttemptStep, (attempt: Attempt, ground: SwitchGround) => Promise<void>> = {
  async preflight({ to }, ground) {
    const missing = await ground.missingFor(to.mode);
    if (missing.length > 0) throw new Error(missing.join('; '));
  },

  async program({ to }, ground) {
    await ground.ensureAnchor();
    await ground.open(to.mode).follow(ground.snapshot(), []);
  },

  async verify({ to }, ground) {
    requireComplete(to.mode, await ground.open(to.mode).verify(ground.snapshot()));
  },

  async commit({ from, to }, ground) {
    await ground.open(to.mode).follow(ground.snapshot(), []);
    if (from !== null && from.mode !== to.mode) await takeAway(from.mode, ground);
    requireComplete(to.mode, await ground.open(to.mode).verify(ground.snapshot()));
  },

  async rollback({ from, to }, ground) {
    if (from !== null) {
      const old = ground.open(from.mode);
      old.markStale();
      await old.follow(ground.snapshot(), []);
      requireComplete(from.mode, await old.verify(ground.snapshot()));
    }
    if (from?.mode !== to.mode) await takeAway(to.mode, ground);
  },
};

async function takeAway(mode: ImplementedMode, ground: SwitchGround): Promise<void> {
  const { dataplane } = ground.open(mode);
  ground.drop(mode);
  try {
    await dataplane.remove();
  } finally {
    dataplane.close();
  }
}

function requireComplete(mode: ImplementedMode, differences: readonly Difference[]): void {
  const [first] = differences;
  if (first === undefined) return;
  const more = differences.length > 1 ? ` and ${differences.length - 1} more` : '';
  throw new Error(
    `the kernel does not hold the ${mode} rules that were sent: ${first.object} is ${first.problem}${more}`,
  );
}

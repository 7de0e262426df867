import { stepOf, type Attempt, type AttemptEvent, type AttemptStep, type Serving } from '../core/mode-switch.ts';
import type { ImplementedMode } from '../core/mode.ts';
import { regressions, type ProbeOutcome } from '../core/probe-result.ts';
import type { Clock } from '../support/clock.ts';
import type { Difference } from '../kernel/dataplane.ts';
import type { ProgrammedMode, ServicePorts } from './programmed-mode.ts';

/** What the steps of a switch act on. */
export interface SwitchGround {
  /** The data plane of its mode, which follows every change of Services from now on, as its configuration says. */
  open(serving: Serving): ProgrammedMode;
  /** The mode no longer follows; its rules are gone. */
  drop(mode: ImplementedMode): void;
  /** The newest state of the Services, already applied to what serves. */
  servicePorts(): ServicePorts;
  /** What this node lacks to run the mode, each with what to do about it; empty when it can. */
  missingFor(mode: ImplementedMode): Promise<readonly string[]>;
  /** Keeps NAT and conntrack alive while modes come and go. */
  ensureAnchor(): Promise<void>;
  /** Tries what the cluster cannot do without. */
  probe(): Promise<readonly ProbeOutcome[]>;
  readonly clock: Clock;
}

const PROBE_TRIES = 3;
const PROBE_PAUSE_MS = 1_000;

const FAILURE_CODES = {
  preflight: 'PreflightFailed',
  baseline: 'BaselineFailed',
  program: 'ProgramFailed',
  verify: 'VerifyFailed',
  commit: 'CommitFailed',
  soak: 'GateFailed',
  rollback: 'RollbackFailed',
} as const satisfies Record<AttemptStep, string>;

/** Does the attempt's next step; a failure is an event, not an exception. */
export async function performStep(attempt: Attempt, ground: SwitchGround): Promise<AttemptEvent> {
  const step = stepOf(attempt);
  if (step === null) return { kind: 'stepDone' };
  try {
    return (await STEPS[step](attempt, ground)) ?? { kind: 'stepDone' };
  } catch (error) {
    return { kind: 'stepFailed', code: FAILURE_CODES[step], message: (error as Error).message };
  }
}

const STEPS: Record<AttemptStep, (attempt: Attempt, ground: SwitchGround) => Promise<AttemptEvent | void>> = {
  async preflight({ to }, ground) {
    const missing = await ground.missingFor(to.config.mode);
    if (missing.length > 0) throw new Error(missing.join('; '));
  },

  /** Without anything that serves, there is nothing that the probes could show to have worked before. */
  async baseline({ from }, ground) {
    return { kind: 'stepDone', baseline: from === null ? [] : await ground.probe() };
  },

  async program({ to }, ground) {
    await ground.ensureAnchor();
    await ground.open(to).follow(ground.servicePorts(), []);
  },

  async verify({ to }, ground) {
    requireComplete(to, await ground.open(to).verify(ground.servicePorts()));
  },

  async commit({ from, to }, ground) {
    await ground.open(to).follow(ground.servicePorts(), []);
    if (from !== null && !isSameMode(from, to)) await takeAway(from, ground);
    requireComplete(to, await ground.open(to).verify(ground.servicePorts()));
  },

  /** A single lost packet must not send a node back. */
  async soak({ baseline }, ground) {
    for (let trial = 1; ; trial += 1) {
      const failed = regressions(baseline, await ground.probe());
      if (failed.length === 0) return;
      if (trial === PROBE_TRIES) {
        const what = failed.map(({ name, message }) => `${name} (${message})`).join(', ');
        throw new Error(`passed before the change and fails now: ${what}`);
      }
      await ground.clock.sleep(PROBE_PAUSE_MS);
    }
  },

  async rollback({ from, to }, ground) {
    if (from !== null) {
      const old = ground.open(from);
      old.markStale();
      await old.follow(ground.servicePorts(), []);
      requireComplete(from, await old.verify(ground.servicePorts()));
    }
    if (from === null || !isSameMode(from, to)) await takeAway(to, ground);
  },
};

function isSameMode(a: Serving, b: Serving): boolean {
  return a.config.mode === b.config.mode;
}

async function takeAway(serving: Serving, ground: SwitchGround): Promise<void> {
  const { dataplane } = ground.open(serving);
  ground.drop(serving.config.mode);
  try {
    await dataplane.remove();
  } finally {
    dataplane.close();
  }
}

function requireComplete({ config: { mode } }: Serving, differences: readonly Difference[]): void {
  const [first] = differences;
  if (first === undefined) return;
  const more = differences.length > 1 ? ` and ${differences.length - 1} more` : '';
  throw new Error(
    `the kernel does not hold the ${mode} rules that were sent: ${first.object} is ${first.problem}${more}`,
  );
}

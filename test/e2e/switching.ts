import type { AgentGround } from './agent-ground.ts';
import { Churn, type ChurnCounts } from './churn.ts';
import { SwitchCourse, type SwitchRun } from './switch-course.ts';
import { SwitchWorld, type WorldTotals } from './switch-world.ts';

export interface SwitchTotals extends WorldTotals {
  readonly switches: number;
  readonly committed: number;
  readonly rolledBack: number;
  /** Attempts that ended otherwise, or left the node between two modes. */
  readonly incomplete: readonly string[];
  /** Why nodes went back: code and phase. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly kills: number;
  readonly writes: number;
  readonly failedWrites: number;
  readonly churn: ChurnCounts;
  /** What an agent that starts anew, and whose kernel does not fail, finds to mend in the rules. */
  readonly mended: string;
}

/** Switches a ground's node under load while everything changes, and accounts for every attempt to connect and to switch. */
export async function runSwitches(ground: AgentGround, run: SwitchRun): Promise<SwitchTotals> {
  const course = new SwitchCourse(ground, run);
  await course.begin();
  const world = await SwitchWorld.create(ground);
  await course.untilProgrammed();
  await world.startLoad();
  // A client is remembered once its first connection has been: one that comes while the new mode takes over may be missed.
  await world.untilFlowing();
  const churn = new Churn(ground, world);
  const tally = {
    committed: 0,
    rolledBack: 0,
    kills: 0,
    incomplete: [] as string[],
    reasons: {} as Record<string, number>,
  };
  for (let index = 1; index <= run.times; index += 1) {
    const ended = await course.attempt(index);
    if (run.kill) tally.kills += 1;
    if (ended.phase === 'Committed') tally.committed += 1;
    else {
      tally.rolledBack += 1;
      const reason = `${ended.failure?.code} in ${ended.failure?.phase}`;
      tally.reasons[reason] = (tally.reasons[reason] ?? 0) + 1;
    }
    const problem = await course.problemAfter(ended);
    if (problem !== undefined) tally.incomplete.push(`${index}: ${problem}`);
  }
  const counts = await churn.stop();
  const mended = await course.mend();
  const totals = await world.stopLoad();
  return { switches: run.times, ...tally, ...(await course.writes()), churn: counts, mended, ...totals };
}

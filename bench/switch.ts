import { AgentGround } from '../test/e2e/agent-ground.ts';
import type { SwitchRun } from '../test/e2e/switch-course.ts';
import { runSwitches, type SwitchTotals } from '../test/e2e/switching.ts';

/** Switches one node between modes under load; the totals account for every attempt. */
export async function benchSwitch(run: SwitchRun): Promise<SwitchTotals> {
  const ground = await AgentGround.create({ withClientPod: true });
  try {
    return await runSwitches(ground, run);
  } finally {
    await ground.destroy();
  }
}

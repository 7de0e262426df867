import { AgentGround } from '../test/e2e/agent-ground.ts';
import type { SwitchRun } from '../test/e2e/switch-course.ts';
import { runSwitches, type SwitchTotals } from '../test/e2e/switching.ts';

/** Switches one node between iptables and nftables mode under load; the totals account for every attempt. */
export async function benchSwitch(run: Omit<SwitchRun, 'modes'>): Promise<SwitchTotals> {
  const ground = await AgentGround.create({ withClientPod: true });
  try {
    return await runSwitches(ground, { ...run, modes: ['iptables', 'nftables'] });
  } finally {
    await ground.destroy();
  }
}

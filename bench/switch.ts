import { AgentGround } from '../test/e2e/agent-ground.ts';
import { runSwitches, type SwitchTotals } from '../test/e2e/switching.ts';

/** Switches one node between iptables and nftables mode under load; the totals account for every attempt. */
export async function benchSwitch({
  times,
  kill,
}: {
  readonly times: number;
  readonly kill: boolean;
}): Promise<SwitchTotals> {
  const ground = await AgentGround.create();
  try {
    return await runSwitches(ground, { modes: ['iptables', 'nftables'], times, kill });
  } finally {
    await ground.destroy();
  }
}

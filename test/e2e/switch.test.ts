import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentGround } from './agent-ground.ts';
import { runSwitches } from './switching.ts';

/** How often each ordered pair is switched; a kill costs the start of another agent. */
const TIMES_EACH_WAY = { whole: 20, killed: 8 };

describe('switching under load while endpoints come and go', { timeout: 300_000 }, () => {
  for (const kill of [false, true]) {
    it(`loses nothing${kill ? ' when the agent is killed in each switch' : ''}`, async () => {
      const ground = await AgentGround.create();
      try {
        const run = {
          modes: ['iptables', 'nftables'],
          times: 2 * TIMES_EACH_WAY[kill ? 'killed' : 'whole'],
          kill,
        } as const;
        const { attempts, lost, resentSyns, failures } = await runSwitches(ground, run);
        assert.deepEqual({ lost, resentSyns, failures }, { lost: 0, resentSyns: 0, failures: [] });
        assert.ok(attempts > 1_000, `${attempts} attempts`);
      } finally {
        await ground.destroy();
      }
    });
  }
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentGround } from './agent-ground.ts';
import { runSwitches } from './switching.ts';

/** Half of the attempts go each way, 26 in all. Rounds with a kill, and with failing writes, take longer. */
const COURSES = [
  { name: 'with iptables-nft', flavour: 'nft', times: 16, kill: false, faultPercent: 0 },
  { name: 'with iptables-legacy', flavour: 'legacy', times: 16, kill: false, faultPercent: 0 },
  { name: 'when the agent is killed in each switch', flavour: 'nft', times: 8, kill: true, faultPercent: 0 },
  { name: 'when a tenth of the writes to the kernel fails', flavour: 'nft', times: 12, kill: false, faultPercent: 10 },
] as const;

describe('switching under load while endpoints, Services and node addresses change', { timeout: 900_000 }, () => {
  for (const { name, ...course } of COURSES) {
    it(`loses nothing and always ends in one whole mode, ${name}`, async () => {
      const ground = await AgentGround.create({ withClientPod: true });
      try {
        const totals = await runSwitches(ground, { modes: ['iptables', 'nftables'], ...course });
        const { lost, resentSyns, failures, incomplete, mended } = totals;
        assert.deepEqual(
          { lost, resentSyns, failures, incomplete, mended },
          { lost: 0, resentSyns: 0, failures: [], incomplete: [], mended: '' },
          JSON.stringify(totals),
        );
        assert.ok(totals.attempts > 1_000, JSON.stringify(totals));
        // A kernel that refuses, and a machine that starts agents all the time, may send a node back.
        assert.equal(totals.committed + totals.rolledBack, course.times, JSON.stringify(totals));
        if (course.faultPercent > 0) assert.ok(totals.failedWrites > 0, JSON.stringify(totals));
        else if (!course.kill) assert.equal(totals.committed, course.times, JSON.stringify(totals));
        else assert.ok(totals.committed > 0, JSON.stringify(totals));
      } finally {
        await ground.destroy();
      }
    });
  }
});

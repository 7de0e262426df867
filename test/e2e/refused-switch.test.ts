import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodeGround } from './node-ground.ts';
import { FAULTY_AGENT } from './switch-course.ts';

describe('a kernel that refuses every write', { timeout: 120_000 }, () => {
  for (const [from, to] of [
    ['iptables', 'nftables'],
    ['nftables', 'iptables'],
  ] as const) {
    it(`sends the node back from ${to} to ${from}, untouched, and the status says why`, async () => {
      const ground = await NodeGround.create();
      try {
        await ground.want({ mode: from });
        ground.start();
        await ground.untilServing();
        await ground.agents.endAgent('SIGTERM');
        const rules = await ground.agents.rules();

        ground.start({ program: [process.execPath, FAULTY_AGENT, '100', ground.agents.path('writes.log')] });
        await ground.want({ mode: to });
        assert.match(await ground.untilCondition('RolledBack', 'True', 'ProgramFailed'), /injected/);
        const { status } = await ground.state();
        assert.deepEqual(
          [status?.current?.mode, status?.attempt?.phase, status?.lastFailure?.phase, status?.lastFailure?.rolledBack],
          [from, 'RolledBack', 'Program', true],
        );
        await ground.untilCondition('Ready', 'True', 'ServesLastGood');
        assert.equal(await ground.agents.rules(), rules);
      } finally {
        await ground.destroy();
      }
    });
  }
});

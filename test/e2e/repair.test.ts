import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AgentGround, eventually } from './agent-ground.ts';

const DAMAGES = [
  { mode: 'nftables', name: 'the table is deleted', command: ['nft', 'delete', 'table', 'ip', 'switchyard'] },
  { mode: 'nftables', name: 'everything is flushed', command: ['nft', 'flush', 'ruleset'] },
  { mode: 'nftables', name: 'a chain is emptied', command: ['nft', 'flush', 'chain', 'ip', 'switchyard', 'services'] },
  { mode: 'iptables', name: 'the nat table is flushed', command: ['iptables', '-t', 'nat', '-F'] },
  { mode: 'iptables', name: 'everything is flushed', command: ['nft', 'flush', 'ruleset'] },
] as const;

describe('rules that somebody else removes', { timeout: 120_000 }, () => {
  let ground: AgentGround;

  before(async () => {
    ground = await AgentGround.create();
  });

  after(() => ground.destroy());

  const repairs = async () => {
    const metrics = await ground.get(10249, '/metrics');
    return [...(metrics?.body ?? '').matchAll(/^switchyard_drift_total\{[^}]*\} (\d+)$/gm)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  };

  for (const { mode, name, command } of DAMAGES) {
    it(`${mode}: ${name}: they are back, and it is counted`, async () => {
      await ground.setMode(mode);
      ground.startAgent();
      await ground.untilServing(mode);
      assert.equal(await repairs(), 0, await ground.agentLog());
      const whole = await ground.rules();
      await ground.testbed.exec(ground.node, command);
      await eventually('the rules are as they were', async () =>
        (await ground.rules()) === whole ? true : undefined,
      ).catch(async (error: unknown) => {
        const log = (await ground.agentLog()).split('\n').slice(-20).join('\n');
        assert.equal(await ground.rules(), whole, `${String(error)}\n${log}`);
      });
      assert.ok((await repairs()) >= 1);
      await ground.endAgent('SIGTERM');
    });
  }
});

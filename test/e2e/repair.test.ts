import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AgentGround, eventually } from './agent-ground.ts';
import { NodeGround } from './node-ground.ts';

/** `flavour` is the iptables that others on the node use, which an agent without rules goes by. */
const DAMAGES = [
  { mode: 'nftables', name: 'the table is deleted', command: ['nft', 'delete', 'table', 'ip', 'switchyard'] },
  { mode: 'nftables', name: 'everything is flushed', command: ['nft', 'flush', 'ruleset'] },
  { mode: 'nftables', name: 'a chain is emptied', command: ['nft', 'flush', 'chain', 'ip', 'switchyard', 'services'] },
  { mode: 'iptables', flavour: 'legacy', name: 'nat is flushed', command: ['iptables-legacy', '-t', 'nat', '-F'] },
  {
    mode: 'iptables',
    flavour: 'legacy',
    name: 'a jump is deleted',
    command: ['iptables-legacy', '-D', 'FORWARD', '1'],
  },
  { mode: 'nftables', name: 'the IPv6 table is deleted', command: ['nft', 'delete', 'table', 'ip6', 'switchyard'] },
  { mode: 'iptables', flavour: 'nft', name: 'nat is flushed', command: ['iptables-nft', '-t', 'nat', '-F'] },
  { mode: 'iptables', flavour: 'nft', name: 'everything is flushed', command: ['nft', 'flush', 'ruleset'] },
] as const;

const driftsOf = async (ground: AgentGround): Promise<number> => {
  const metrics = await ground.get(10249, '/metrics');
  return [...(metrics?.body ?? '').matchAll(/^switchyard_drift_total\{[^}]*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
};

describe('rules that somebody else removes', { timeout: 180_000 }, () => {
  let ground: AgentGround;

  before(async () => {
    ground = await AgentGround.create();
  });

  after(() => ground.destroy());

  const hint = (change: '-N' | '-X') =>
    ground.testbed.exec(ground.node, ['iptables-legacy', '-t', 'mangle', change, 'KUBE-IPTABLES-HINT']);

  for (const { mode, name, command, ...damage } of DAMAGES) {
    const flavour = 'flavour' in damage ? damage.flavour : undefined;
    it(`${[mode, flavour].filter(Boolean).join(', ')}: ${name}: they are back, and it is counted`, async () => {
      if (flavour === 'legacy') await hint('-N');
      await ground.setMode(mode);
      ground.startAgent();
      await ground.untilServing(mode);
      assert.equal(await driftsOf(ground), 0, await ground.agentLog());
      const whole = await ground.rules();
      await ground.testbed.exec(ground.node, command);
      await eventually('the rules are as they were', async () =>
        (await ground.rules()) === whole ? true : undefined,
      ).catch(async (error: unknown) => {
        const log = (await ground.agentLog()).split('\n').slice(-20).join('\n');
        assert.equal(await ground.rules(), whole, `${String(error)}\n${log}`);
      });
      assert.ok((await driftsOf(ground)) >= 1);
      await ground.endAgent('SIGTERM');
      if (flavour === 'legacy') await hint('-X');
    });
  }
});

describe('another owner that keeps removing rules', { timeout: 120_000 }, () => {
  it('is not fought for ever, and the status says that it is there', async () => {
    const ground = await NodeGround.create();
    try {
      await ground.want({ mode: 'nftables' });
      ground.start();
      await ground.untilServing();
      assert.equal((await ground.condition('Drifted'))?.reason, 'NoDrift');
      const { testbed, node } = ground.agents;
      const isThere = async () => (await ground.agents.nftTables()).includes('switchyard');
      const removeOnce = async () => {
        await eventually('the rules are back', async () => ((await isThere()) ? true : undefined));
        await testbed.exec(node, ['nft', 'delete', 'table', 'ip', 'switchyard']);
      };
      await removeOnce();
      await ground.untilCondition('Drifted', 'True', 'RulesTampered');
      // As the other owner does it: again and again, as soon as they are back.
      let removals = 1;
      while ((await ground.condition('Drifted'))?.reason !== 'RulesContested') {
        assert.ok(removals < 100, 'fought on and on');
        await removeOnce();
        removals += 1;
      }
      assert.ok(removals > 20, `gave way after ${removals} removals`);
      assert.ok((await driftsOf(ground.agents)) >= removals);
      // It does not give up either.
      await eventually('the rules are back', async () => ((await isThere()) ? true : undefined));
    } finally {
      await ground.destroy();
    }
  });
});

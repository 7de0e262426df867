import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AgentGround, eventually } from './agent-ground.ts';

const FLUSH_LEGACY = ['iptables', 'ip6tables'].flatMap((tool) =>
  ['nat', 'filter'].flatMap((table) => [`${tool}-legacy -t ${table} -F`, `${tool}-legacy -t ${table} -X`]),
);

/**
 * `chain` empties one chain, which changes nothing that is written often; `everything` is what a person does who starts anew.
 * `hint` is what a kubelet leaves in the flavour of iptables that is in use.
 */
const KINDS = [
  { mode: 'nftables', hint: 'nft', chain: 'nft flush chain ip switchyard services', everything: ['nft flush ruleset'] },
  {
    mode: 'iptables',
    hint: 'nft',
    chain: 'iptables-nft -t nat -F SWITCHYARD-MARK-MASQ',
    everything: ['nft flush ruleset'],
  },
  {
    mode: 'iptables',
    hint: 'legacy',
    chain: 'iptables-legacy -t nat -F SWITCHYARD-MARK-MASQ',
    everything: FLUSH_LEGACY,
  },
] as const;

for (const { mode, hint, chain, everything } of KINDS) {
  describe(`${mode} mode beside iptables-${hint}, damaged again and again`, { timeout: 120_000 }, () => {
    let ground: AgentGround;
    let whole: string;
    before(async () => {
      ground = await AgentGround.create();
      await sh(`iptables-${hint} -t mangle -N KUBE-IPTABLES-HINT`);
      await ground.setMode(mode);
      ground.startAgent();
      await ground.untilServing(mode);
      whole = await ground.rules();
    });
    after(() => ground.destroy());

    const sh = (...commands: string[]) =>
      ground.testbed.exec(ground.node, ['sh', '-c', [...commands, 'true'].join('; ')]);

    async function untilWhole(): Promise<void> {
      const isWhole = async () => ((await ground.rules()) === whole ? true : undefined);
      await eventually('the rules are as they were', isWhole).catch(async (error: unknown) => {
        const log = (await ground.agentLog()).split('\n').slice(-20).join('\n');
        assert.equal(await ground.rules(), whole, `${String(error)}\n${log}`);
      });
    }

    it('is repaired each time, however soon after the last repair', async () => {
      for (let round = 0; round < 2; round += 1) {
        await sh(...everything);
        await untilWhole();
        await sh(chain);
        await untilWhole();
      }
    });

    it('is repaired when it is damaged on while it is repaired, and endpoints change meanwhile', async () => {
      for (const endpoints of [ground.backends.slice(1), ground.backends]) {
        const changed = ground.setEndpoints(endpoints);
        for (let damage = 0; damage < 3; damage += 1) {
          await sh(...everything, 'sleep 0.02', chain, 'sleep 0.05', ...everything);
        }
        await changed;
      }
      await untilWhole();
    });

    it('is repaired by the agent that comes after one that was killed meanwhile', async () => {
      await sh(...everything, 'sleep 0.1', chain);
      await ground.endAgent('SIGKILL');
      await sh(...everything.slice(0, -1), chain);
      ground.startAgent();
      await untilWhole();
      await ground.untilServing(mode);
    });
  });
}

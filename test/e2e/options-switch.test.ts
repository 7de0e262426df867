import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { AgentGround, eventually } from './agent-ground.ts';
import { SwitchWorld } from './switch-world.ts';

/** Changes of what the rules are made from, each on top of nothing but the mode. */
const OPTIONS = [
  { clusterCIDR: '10.244.0.0/16,fd00:244::/32' },
  { detectLocalMode: 'BridgeInterface', detectLocal: { bridgeInterface: 'pod3' } },
  { detectLocalMode: 'InterfaceNamePrefix', detectLocal: { interfaceNamePrefix: 'pod' } },
  { nodePortAddresses: ['172.18.0.0/24', 'fd00:18::/64'] },
  { masqueradeAll: true },
  { masqueradeBit: 15 },
  {},
] as const;

describe('changes of the data plane within a mode, under load', { timeout: 180_000 }, () => {
  for (const mode of ['nftables', 'iptables'] as const) {
    it(`lose nothing, ${mode}`, async () => {
      const ground = await AgentGround.create({ withClientPod: true });
      try {
        const world = await SwitchWorld.create(ground, { mayMasquerade: true });
        await ground.setProfile({ mode });
        ground.startAgent();
        await ground.untilServing(mode);
        await world.startLoad();
        let before = await ground.rules();
        for (const options of OPTIONS) {
          const revision = await revisionOf(ground);
          await ground.setProfile({ mode, ...options });
          await eventually(`${JSON.stringify(options)} serves`, async () => {
            const now = await revisionOf(ground);
            return now !== undefined && now !== revision ? true : undefined;
          });
          const after = await ground.rules();
          assert.notEqual(after, before, `${JSON.stringify(options)} changes the rules`);
          before = after;
        }
        await world.untilFlowing();
        const { lost, resentSyns, failures } = await world.stopLoad();
        assert.deepEqual({ lost, resentSyns, failures }, { lost: 0, resentSyns: 0, failures: [] });
      } finally {
        await ground.destroy();
      }
    });
  }
});

/** Of the configuration that is committed; undefined while another is on its way. */
async function revisionOf(ground: AgentGround): Promise<string | undefined> {
  const text = await readFile(ground.path('state/state.json'), 'utf8');
  const { content } = JSON.parse(text) as {
    content: { serving: { revision: string }; attempt: { phase: string; to: { revision: string } } };
  };
  return content.attempt.phase === 'Committed' ? content.serving.revision : undefined;
}

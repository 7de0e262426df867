import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentGround } from './agent-ground.ts';
import { SwitchWorld } from './switch-world.ts';

/** All kinds of users of NAT and connection tracking that a node has beside a Service proxy; none matches a packet of the load. */
const FOREIGN = `
  nft 'table ip foreign { chain nat { type nat hook postrouting priority 100; ip daddr 203.0.113.1 masquerade; }; chain filter { type filter hook forward priority 0; ct state invalid counter; }; }'
  nft 'table ip6 foreign { chain nat { type nat hook postrouting priority 100; ip6 daddr 2001:db8::1 masquerade; }; chain filter { type filter hook forward priority 0; ct state invalid counter; }; }'
  for tool in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
    $tool -t nat -N FOREIGN; $tool -t nat -A POSTROUTING -p 47 -j FOREIGN; $tool -t nat -A FOREIGN -j MASQUERADE
    $tool -A FORWARD -m conntrack --ctstate RELATED -p 47 -j ACCEPT
  done`;
const GONE = `
  nft delete table ip foreign; nft delete table ip6 foreign
  for tool in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
    $tool -t nat -D POSTROUTING -p 47 -j FOREIGN; $tool -t nat -F FOREIGN; $tool -t nat -X FOREIGN
    $tool -D FORWARD -m conntrack --ctstate RELATED -p 47 -j ACCEPT
  done`;

describe('the last foreign user of NAT and connection tracking on a node goes', { timeout: 120_000 }, () => {
  for (const mode of ['nftables', 'iptables'] as const) {
    it(`and established and new flows go on, ${mode}, through a switch and back too`, async () => {
      const ground = await AgentGround.create({ withClientPod: true });
      const sh = (script: string) => ground.testbed.exec(ground.node, ['sh', '-ec', script]);
      try {
        await sh(FOREIGN);
        const world = await SwitchWorld.create(ground);
        await ground.setMode(mode);
        ground.startAgent();
        await ground.untilServing(mode);
        await world.startLoad();
        await world.untilFlowing();
        await sh(GONE);
        await world.untilFlowing();
        const other = mode === 'nftables' ? 'iptables' : 'nftables';
        for (const next of [other, mode] as const) {
          await ground.setMode(next);
          await ground.untilServing(next);
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

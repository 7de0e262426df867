import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from './agent-ground.ts';
import { NodeGround } from './node-ground.ts';

describe('what an agent says of its probes', () => {
  let ground: NodeGround;

  before(async () => {
    ground = await NodeGround.create();
    ground.start();
    await ground.want({ mode: 'iptables' });
    await ground.untilServing();
    await ground.want({ mode: 'nftables' });
    await ground.untilServing();
  });
  after(() => ground.destroy());

  const probes = async () => {
    const { status } = await ground.state();
    return Object.fromEntries(
      (status?.probes ?? []).map(({ name, result, message = '' }) => [name, { result, message }]),
    );
  };
  const untilLeftovers = (result: string) =>
    eventually(`NoLeftovers is ${result}`, async () => {
      const { NoLeftovers } = await probes();
      return NoLeftovers?.result === result ? NoLeftovers.message : undefined;
    });

  it('looks whether a switch has left anything', async () => {
    assert.equal(await untilLeftovers('Pass'), '');
    assert.equal((await probes())['APIServerDirect']?.result, 'Pass');
  });

  it('goes on saying it when it starts anew, and names what it cannot remove until it is gone', async () => {
    await ground.agents.endAgent('SIGKILL');
    // Somebody restored old rules, and has a chain of their own that leads into one of ours.
    await ground.sh(
      'iptables -t nat -N SWITCHYARD-OLD; iptables -t nat -N THEIRS; iptables -t nat -A THEIRS -j SWITCHYARD-OLD',
    );
    ground.start();
    assert.match(await untilLeftovers('Fail'), /rules are left of iptables mode \(.*iptables/);
    assert.equal((await probes())['APIServerDirect']?.result, 'Pass', 'what was known is not forgotten');
    assert.equal((await ground.condition('Ready'))?.status, 'True');
    await ground.sh(
      'iptables -t nat -X SWITCHYARD-OLD 2>/dev/null; iptables -t nat -F THEIRS; iptables -t nat -X THEIRS',
    );
    await untilLeftovers('Pass');
    assert.doesNotMatch(await ground.sh('iptables-save -t nat'), /SWITCHYARD/);
  });
});

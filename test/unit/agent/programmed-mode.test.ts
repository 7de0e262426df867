import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProgrammedMode } from '../../../src/agent/programmed-mode.ts';
import { renderedConfig } from '../../../src/core/api/node-proxy-state.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';
import { FakeKernel } from '../../fakes/fake-kernel.ts';

const LONG_AFTER_ITS_LAST_WRITE_MS = 60_000;

async function serving(kernel: FakeKernel): Promise<ProgrammedMode> {
  const clock = new FakeClock();
  const mode = new ProgrammedMode(kernel.createDataplane('iptables'), renderedConfig.parse({ mode: 'iptables' }), {
    network: () => ({ families: ['IPv4'], podCIDRs: [], primaryAddresses: [], localAddresses: [], serviceCIDRs: [] }),
    clock,
    metrics: { startSync: () => () => undefined },
  });
  await mode.follow(new Map(), []);
  clock.advance(LONG_AFTER_ITS_LAST_WRITE_MS);
  return mode;
}

describe('what others change of the rules of a mode', () => {
  it('is not looked for while the mode is taken away, however long it goes on', async () => {
    const kernel = new FakeKernel();
    const mode = await serving(kernel);
    assert.equal(mode.isGuarded, true);
    const seen: boolean[] = [];
    kernel.onOperation = () => seen.push(mode.isGuarded);
    await mode.remove();
    assert.deepEqual([seen, mode.isGuarded], [[false], false]);
  });

  it('is looked for again when a mode that could not be taken away serves on', async () => {
    const kernel = new FakeKernel();
    const mode = await serving(kernel);
    kernel.fault = (operation) => (operation === 'remove' ? 'EBUSY' : undefined);
    await assert.rejects(mode.remove());
    assert.equal(mode.isStale, true);
    await mode.follow(new Map(), []);
    assert.equal(mode.isGuarded, true);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProgrammedMode } from '../../../../src/agent/services/programmed-mode.ts';
import { renderedConfig } from '../../../../src/core/api/node-proxy-state.ts';
import type { ServicePortChange } from '../../../../src/core/service/snapshot.ts';
import { FakeKernel } from '../../../fakes/fake-kernel.ts';

async function serving(kernel: FakeKernel): Promise<ProgrammedMode> {
  const mode = new ProgrammedMode(kernel.createDataplane('iptables'), renderedConfig.parse({ mode: 'iptables' }), {
    network: () => ({ families: ['IPv4'], podCIDRs: [], primaryAddresses: [], localAddresses: [], serviceCIDRs: [] }),
    metrics: { startSync: () => () => undefined },
  });
  await mode.follow(new Map(), []);
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

const CHANGE: ServicePortChange = { key: 'default/web:80' };

describe('a mode that follows', () => {
  const LATE = [
    { name: 'somebody changed its rules', say: (mode: ProgrammedMode) => mode.markStale() },
    {
      name: 'its options changed',
      say: (mode: ProgrammedMode) => mode.configure(renderedConfig.parse({ mode: 'iptables', masqueradeAll: true })),
    },
  ];
  for (const { name, say } of LATE) {
    it(`looks again when it heard while writing that ${name}`, async () => {
      const kernel = new FakeKernel();
      const mode = await serving(kernel);
      mode.markStale();
      kernel.onOperation = () => {
        kernel.onOperation = () => undefined;
        say(mode);
      };
      await mode.follow(new Map(), []);
      assert.equal(mode.isStale, true);
      await mode.follow(new Map(), []);
      assert.equal(mode.isStale, false);
    });
  }

  it('is not read once more for what was heard before it was read back and found whole', async () => {
    const mode = await serving(new FakeKernel());
    mode.markStale();
    assert.deepEqual(await mode.verify(new Map()), []);
    assert.equal(mode.isStale, false);
  });

  it('is read once more for what is heard while it is read back', async () => {
    const kernel = new FakeKernel();
    const mode = await serving(kernel);
    kernel.onOperation = () => mode.markStale();
    assert.deepEqual(await mode.verify(new Map()), []);
    assert.equal(mode.isStale, true);
  });

  it('reads the kernel back at once when it does not take a change', async () => {
    const kernel = new FakeKernel();
    const mode = await serving(kernel);
    kernel.fault = (operation) => (operation === 'update' ? 'ENOENT' : undefined);
    kernel.journal.length = 0;
    await mode.follow(new Map(), [CHANGE]);
    assert.deepEqual(kernel.journal, ['sync iptables']);
    assert.equal(mode.isStale, false);
  });

  it('is stale, for a later try, when it does not take the whole either', async () => {
    const kernel = new FakeKernel();
    const mode = await serving(kernel);
    let writes = 0;
    kernel.fault = () => ((writes += 1) > 0 ? 'ENOBUFS' : undefined);
    await assert.rejects(mode.follow(new Map(), [CHANGE]));
    assert.deepEqual([writes, mode.isStale], [2, true]);
  });
});

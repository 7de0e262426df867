import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { releaseNode } from '../../../../src/agent/release/node-release.ts';
import { findPresentModes, lookForModes } from '../../../../src/agent/release/present-modes.ts';
import { silentLog } from '../../../../src/support/log.ts';
import type { Clock } from '../../../../src/support/clock.ts';
import { FakeKernel } from '../../../fakes/fake-kernel.ts';

const clock: Clock = { now: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() };

function kernelWith(blindness: FakeKernel['blindness']) {
  const kernel = new FakeKernel();
  kernel.modes.set('nftables', new Map());
  kernel.modes.set('iptables', new Map());
  kernel.blindness = blindness;
  const looked: string[] = [];
  const create = (mode: Parameters<FakeKernel['createDataplane']>[0]) => {
    looked.push(mode);
    return kernel.createDataplane(mode);
  };
  return { kernel, create, looked };
}

describe('looking for the modes that stand', () => {
  it('says what it cannot see, but for a mode whose programs are not installed', async () => {
    const { create } = kernelWith((mode) => ({ iptables: 'ETIMEDOUT', ipvs: 'ENOENT', nftables: undefined })[mode]);
    const { present, unseen } = await findPresentModes(create);
    assert.deepEqual(present, ['nftables']);
    assert.deepEqual(
      unseen.map(({ mode }) => mode),
      ['iptables'],
    );
  });

  it('looks again for what it did not see', async () => {
    let failures = 3;
    const { create, looked } = kernelWith((mode) => (mode === 'iptables' && failures-- > 0 ? 'EAGAIN' : undefined));
    assert.deepEqual(await lookForModes(create, { clock, log: silentLog }), {
      present: ['iptables', 'nftables'],
      unseen: [],
    });
    assert.equal(looked.filter((mode) => mode === 'nftables').length, 1);
  });

  it('gives up after a while', async () => {
    const { create } = kernelWith((mode) => (mode === 'iptables' ? 'EAGAIN' : undefined));
    const { present, unseen } = await lookForModes(create, { clock, log: silentLog });
    assert.deepEqual([present.length, unseen.length], [1, 1]);
  });
});

describe('a release', () => {
  it('does not say that nothing is left of a mode that it could not look for', async () => {
    const { kernel, create } = kernelWith((mode) => (mode === 'iptables' ? 'ETIMEDOUT' : undefined));
    let hasFiles = true;
    const ground = {
      createDataplane: create,
      removeBesides: () => Promise.resolve(),
      releaseSettings: () => Promise.resolve([]),
      removeFiles: () => void (hasFiles = false),
      clock,
      log: silentLog,
    };
    const failures = await releaseNode(ground, 'Restore');
    assert.match(failures.join(), /cannot look for rules of iptables mode/);
    assert.ok(hasFiles && !kernel.modes.has('nftables'));
    kernel.blindness = () => undefined;
    assert.deepEqual(await releaseNode(ground, 'Restore'), []);
    assert.ok(!hasFiles && !kernel.modes.has('iptables'));
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unaskedDataplane } from '../../../src/agent/unasked-dataplane.ts';
import { FakeKernel } from '../../fakes/fake-kernel.ts';

describe('the data plane of a mode whose modules are not loaded', () => {
  const setUp = () => {
    const kernel = new FakeKernel();
    let isLoaded = false;
    let opened = 0;
    const open = () => {
      opened += 1;
      return kernel.createDataplane('nftables');
    };
    const dataplane = unaskedDataplane('nftables', open, () => isLoaded);
    return { kernel, dataplane, load: () => (isLoaded = true), opened: () => opened };
  };

  it('has nothing to find or to remove, and is not opened for that', async () => {
    const { dataplane, kernel, opened } = setUp();
    assert.equal(dataplane.mode, 'nftables');
    assert.equal(await dataplane.isPresent(), false);
    await dataplane.remove();
    dataplane.close();
    assert.equal(opened(), 0);
    assert.deepEqual(kernel.journal, []);
  });

  it('is like any other once they are loaded, or once something is to be written', async () => {
    const { dataplane, load, opened } = setUp();
    const snapshot = { servicePorts: new Map(), options: {} } as never;
    await dataplane.sync(snapshot);
    load();
    assert.equal(await dataplane.isPresent(), true);
    assert.equal(opened(), 1);
    await dataplane.remove();
    assert.equal(await dataplane.isPresent(), false);
    dataplane.close();
  });
});

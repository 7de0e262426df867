import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HeapLimit } from '../../../src/controllers/heap-limit.ts';

describe('the limit of the heap', () => {
  it('collects where much lies around, and not again while as much is in use', () => {
    let [used, inUse, collections] = [70_000_000, 60_000_000, 0];
    const limit = new HeapLimit({
      usedBytes: () => used,
      collect: () => {
        collections += 1;
        used = inUse;
      },
    });
    limit.check();
    assert.equal(collections, 0);
    used = 90_000_000;
    limit.check();
    assert.deepEqual([collections, used], [1, 60_000_000]);
    [used, inUse] = [100_000_000, 100_000_000];
    limit.check();
    used = 130_000_000;
    limit.check();
    assert.equal(collections, 2, 'most of it is in use');
    used = 141_000_000;
    limit.check();
    assert.equal(collections, 3);
  });
});

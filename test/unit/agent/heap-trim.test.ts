import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { HeapTrim } from '../../../src/agent/heap-trim.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';

describe('heap trim', () => {
  let clock: FakeClock;
  let trim: HeapTrim;
  let count: number;

  beforeEach(() => {
    clock = new FakeClock();
    count = 0;
    trim = new HeapTrim({ clock, signal: new AbortController().signal, collect: () => (count += 1) });
  });

  async function pass(ms: number): Promise<void> {
    clock.advance(ms);
    await turn();
  }

  it('waits until the list has been worked through', async () => {
    trim.programmed(undefined, true);
    await pass(999);
    assert.equal(count, 0);
    await pass(1);
    assert.equal(count, 1);
  });

  it('is not done for single changes', async () => {
    trim.programmed(undefined, false);
    await pass(60_000);
    assert.equal(count, 0);
  });

  it('is seldom, however often everything is read', async () => {
    for (let minute = 0; minute < 60; minute += 1) {
      trim.programmed(undefined, true);
      await pass(60_000);
    }
    assert.equal(count, 6);
  });
});

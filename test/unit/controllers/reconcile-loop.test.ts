import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ReconcileLoop, type ReconcileResult } from '../../../src/controllers/reconcile-loop.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';

const tick = () => new Promise((resolve) => setImmediate(resolve));

describe('the reconcile loop', () => {
  let clock: FakeClock;
  let end: AbortController;
  let runs: number;
  let result: ReconcileResult;
  let loop: ReconcileLoop;
  let ended: Promise<void>;

  beforeEach(() => {
    clock = new FakeClock();
    end = new AbortController();
    runs = 0;
    result = { wakeAtMs: null, mustRetry: false };
    loop = new ReconcileLoop(clock, () => {
      runs += 1;
      return Promise.resolve(result);
    });
    ended = loop.start(end.signal);
  });
  afterEach(async () => {
    end.abort();
    await ended;
  });

  async function pass(ms: number): Promise<void> {
    for (let step = 0; step < 10; step++) {
      await tick();
      clock.advance(ms / 10);
      await tick();
    }
  }

  it('answers many triggers with one run', async () => {
    for (let count = 0; count < 5; count++) loop.trigger();
    await pass(1_000);
    assert.equal(runs, 1);
    loop.trigger();
    await pass(1_000);
    assert.equal(runs, 2);
  });

  it('runs again at the time that the last run asked for', async () => {
    result = { wakeAtMs: clock.now() + 60_000, mustRetry: false };
    loop.trigger();
    await pass(30_000);
    assert.equal(runs, 1);
    result = { wakeAtMs: null, mustRetry: false };
    await pass(60_000);
    assert.equal(runs, 2);
  });

  it('answers a trigger at once while something that keeps failing waits', async () => {
    result = { wakeAtMs: null, mustRetry: true };
    loop.trigger();
    for (let round = 0; round < 20; round++) await pass(30_000);
    await pass(100);
    const before = runs;
    loop.trigger();
    await pass(200);
    assert.ok(runs > before);
  });

  it('runs again by itself after a failure, and rests after a success', async () => {
    result = { wakeAtMs: null, mustRetry: true };
    loop.trigger();
    await pass(10_000);
    assert.ok(runs > 2);
    result = { wakeAtMs: null, mustRetry: false };
    await pass(60_000);
    const settled = runs;
    await pass(600_000);
    assert.equal(runs, settled);
  });
});

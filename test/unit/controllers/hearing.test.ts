import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Hearing } from '../../../src/controllers/hearing.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';

describe('what a controller hears', () => {
  const begin = () => {
    const clock = new FakeClock();
    const hearing = new Hearing(clock);
    const startMs = clock.now();
    return { clock, hearing, afterMs: () => hearing.sinceMs - startMs };
  };

  it('is heard since it began, however silent the watch is', () => {
    const { clock, hearing, afterMs } = begin();
    clock.advance(300_000);
    hearing.sign();
    assert.equal(afterMs(), 0);
  });

  it('is heard anew after an outage', () => {
    const { clock, hearing, afterMs } = begin();
    hearing.sign();
    clock.advance(5_000);
    hearing.cut();
    clock.advance(95_000);
    hearing.cut();
    hearing.sign();
    assert.equal(afterMs(), 100_000);
    clock.advance(60_000);
    hearing.sign();
    assert.equal(afterMs(), 100_000);
  });

  it('misses nothing when a watch fails and is taken up at once', () => {
    const { clock, hearing, afterMs } = begin();
    clock.advance(60_000);
    hearing.sign();
    clock.advance(2_000);
    hearing.cut();
    hearing.sign();
    assert.equal(afterMs(), 0);
  });

  it('judges nothing while it is cut off, and lets go of what was decided by then', () => {
    const { clock, hearing, afterMs } = begin();
    hearing.sign();
    const decided = hearing.unbroken;
    clock.advance(40_000);
    hearing.cut();
    assert.ok(decided.aborted && !hearing.unbroken.aborted);
    clock.advance(5_000);
    assert.equal(afterMs(), 45_000);
    clock.advance(5_000);
    assert.equal(afterMs(), 50_000);
  });
});

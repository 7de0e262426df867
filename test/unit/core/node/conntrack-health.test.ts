import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConntrackJudge } from '../../../../src/core/node/conntrack-health.ts';

const reading = (entries: number, dropped = 0, earlyDropped = 0) => ({ entries, max: 100, dropped, earlyDropped });

describe('the connection tracking table', () => {
  it('is nearly full before it is full, until it has room again', () => {
    const judge = new ConntrackJudge();
    const seen = [10, 79, 80, 95, 75, 69, 75].map((entries, at) => judge.add(reading(entries), at));
    assert.deepEqual(seen, ['hasRoom', 'hasRoom', 'nearlyFull', 'nearlyFull', 'nearlyFull', 'hasRoom', 'hasRoom']);
  });

  it('drops from when a counter grows until some time after', () => {
    const judge = new ConntrackJudge();
    assert.equal(judge.add(reading(10, 7, 7), 0), 'hasRoom', 'what was dropped before is history');
    assert.equal(judge.add(reading(10, 8, 7), 1_000), 'dropping');
    assert.equal(judge.add(reading(10, 8, 7), 299_000), 'dropping');
    assert.equal(judge.add(reading(10, 8, 7), 302_000), 'hasRoom');
    assert.equal(judge.add(reading(10, 8, 8), 303_000), 'dropping');
  });
});

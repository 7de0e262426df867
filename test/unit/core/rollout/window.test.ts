import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isTimeZone, windowState, type RolloutWindow } from '../../../../src/core/rollout/window.ts';

const night: RolloutWindow = { days: ['sat'], start: '22:00', end: '04:00', timeZone: 'UTC' };
const berlin: RolloutWindow = { days: [], start: '02:30', end: '05:00', timeZone: 'Europe/Berlin' };

describe('a maintenance window', () => {
  const cases: [name: string, window: RolloutWindow, at: string, isOpen: boolean, next: string][] = [
    ['before it begins', night, '2026-01-03T21:59:59Z', false, '2026-01-03T22:00:00Z'],
    ['when it begins', night, '2026-01-03T22:00:00Z', true, '2026-01-04T04:00:00Z'],
    ['after midnight, on a day that it does not begin on', night, '2026-01-04T03:59:59Z', true, '2026-01-04T04:00:00Z'],
    ['when it ends', night, '2026-01-04T04:00:00Z', false, '2026-01-10T22:00:00Z'],
    ['after midnight of a day before its own', night, '2026-01-03T01:00:00Z', false, '2026-01-03T22:00:00Z'],
    ['in winter time', berlin, '2026-01-05T01:30:00Z', true, '2026-01-05T04:00:00Z'],
    ['in summer time', berlin, '2026-07-05T00:30:00Z', true, '2026-07-05T03:00:00Z'],
    ['in the night that skips its begin', berlin, '2026-03-29T01:00:00Z', true, '2026-03-29T03:00:00Z'],
    [
      'the whole day',
      { ...night, days: ['sun'], start: '00:00', end: '00:00' },
      '2026-01-04T23:59:00Z',
      true,
      '2026-01-05T00:00:00Z',
    ],
  ];
  for (const [name, window, at, isOpen, next] of cases) {
    it(`${name}: ${isOpen ? 'open' : 'shut'}`, () => {
      const state = windowState([window], Date.parse(at));
      assert.equal(state.isOpen, isOpen);
      assert.equal(state.changesAtMs, state.nextMs);
      assert.equal(new Date(state.changesAtMs ?? 0).toISOString(), next.replace('Z', '.000Z'));
    });
  }

  it('is always open where there is none, and open when any of several is', () => {
    assert.deepEqual(windowState([], 0), { isOpen: true, changesAtMs: null, nextMs: undefined });
    assert.equal(windowState([night, berlin], Date.parse('2026-01-05T02:00:00Z')).isOpen, true);
  });

  it('that opens in more than nine days only is looked at again in a day', () => {
    // Clocks are put forward past it on 29 March, a Sunday.
    const lost: RolloutWindow = { days: ['sun'], start: '02:15', end: '02:45', timeZone: 'Europe/Berlin' };
    const atMs = Date.parse('2026-03-22T12:00:00Z');
    assert.deepEqual(windowState([lost], atMs), { isOpen: false, changesAtMs: atMs + 86_400_000, nextMs: undefined });
    const next = windowState([lost], Date.parse('2026-03-29T12:00:00Z')).nextMs ?? 0;
    assert.equal(new Date(next).toISOString(), '2026-04-05T00:15:00.000Z');
  });

  it('knows the names of time zones', () => {
    assert.ok(isTimeZone('America/New_York'));
    assert.ok(!isTimeZone('Middle/Earth'));
  });
});

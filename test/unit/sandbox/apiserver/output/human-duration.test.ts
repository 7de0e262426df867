import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ageOf, humanDuration } from '../../../../../src/sandbox/apiserver/output/human-duration.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('Ages', () => {
  const CASES: [milliseconds: number, text: string][] = [
    [-5 * SECOND, '<invalid>'],
    [-SECOND, '0s'],
    [0, '0s'],
    [119 * SECOND, '119s'],
    [2 * MINUTE, '2m'],
    [2 * MINUTE + 5 * SECOND, '2m5s'],
    [10 * MINUTE + 5 * SECOND, '10m'],
    [179 * MINUTE, '179m'],
    [3 * HOUR, '3h'],
    [3 * HOUR + 4 * MINUTE, '3h4m'],
    [47 * HOUR, '47h'],
    [50 * HOUR, '2d2h'],
    [8 * DAY, '8d'],
    [729 * DAY, '729d'],
    [731 * DAY, '2y1d'],
    [9 * 365 * DAY, '9y'],
  ];
  for (const [milliseconds, text] of CASES) {
    it(`shows ${milliseconds} ms as ${text}`, () => assert.equal(humanDuration(milliseconds), text));
  }

  it('does not know the age of what has no time', () => {
    assert.equal(ageOf(undefined, new Date()), '<unknown>');
  });
});

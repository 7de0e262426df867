import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limitAffinity, type AffinityEntry } from '../../../../src/core/service/affinity.ts';

function entry(remainingSeconds: number): AffinityEntry {
  const backend = { address: '10.0.0.1', port: 80 };
  return { key: 'ns/a:/TCP@IPv4', client: `192.0.2.${remainingSeconds}`, backend, remainingSeconds };
}

describe('the limit of affinity entries', () => {
  const all = [entry(3), entry(1), entry(2)];
  const cases: readonly (readonly [limit: number, kept: readonly number[], leftOut: number])[] = [
    [3, [3, 1, 2], 0],
    [2, [3, 2], 1],
    [0, [], 3],
  ];
  for (const [limit, kept, leftOut] of cases) {
    it(`of ${limit} keeps those with the longest time left and counts the others`, () => {
      const limited = limitAffinity(all, limit);
      assert.deepEqual(
        [limited.entries.map(({ remainingSeconds }) => remainingSeconds), limited.leftOut],
        [kept, leftOut],
      );
    });
  }
});

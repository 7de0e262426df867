import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../property.ts';
import type { Backend } from '../../../../src/core/service/snapshot.ts';
import { slotOwners } from '../../../../src/plan/nftables/slots.ts';

function backend(number: number): Backend {
  return { address: `10.0.${number >> 8}.${number & 0xff}`, port: 8080, isLocal: false };
}

const several = fc
  .uniqueArray(fc.nat(0xffff), { minLength: 2, maxLength: 64 })
  .map((list) => list.sort((a, b) => a - b));

/** How many of the slots changed hands among backends that are in both. */
function moved(before: readonly Backend[], after: readonly Backend[], except: Backend): number {
  const owners = slotOwners(after);
  return slotOwners(before).filter(
    (owner, slot) => owner.address !== except.address && owner.address !== owners[slot]?.address,
  ).length;
}

describe('slots of hashed clients', () => {
  it('a backend that goes moves nobody but its own clients, and they come back with it', () => {
    assertProperty(
      fc.property(several, fc.nat(), (numbers, choice) => {
        const before = numbers.map(backend);
        const gone = before[choice % before.length] ?? assert.fail();
        const after = before.filter((one) => one !== gone);
        if (after.length === 1) return;
        assert.equal(moved(before, after, gone), 0);
        assert.ok(slotOwners(after).every((owner) => owner !== gone));
        assert.deepEqual(slotOwners(numbers.map(backend)), slotOwners(before));
      }),
    );
  });

  for (const count of [2, 3, 10, 64, 65, 200, 512]) {
    it(`every one of ${count} backends gets a share, and none much more than another`, () => {
      const backends = Array.from({ length: count }, (_, number) => backend(number));
      const owners = slotOwners(backends);
      const shares = backends.map((one) => owners.filter((owner) => owner === one).length);
      const fair = owners.length / count;
      assert.ok(Math.min(...shares) > 0, String(shares));
      // Chance decides about each slot: four standard deviations around the mean.
      const tolerance = 4 * Math.sqrt(fair) + 1;
      assert.ok(Math.max(...shares) <= fair + tolerance, `${Math.max(...shares)} of ${fair}`);
      assert.ok(Math.min(...shares) >= fair - tolerance, `${Math.min(...shares)} of ${fair}`);
    });
  }

  const sizes: readonly (readonly [backends: number, slots: number])[] = [
    [0, 0],
    [1, 1],
    [2, 512],
    [64, 512],
    [65, 4096],
    [512, 4096],
    [513, 513],
  ];
  for (const [count, slots] of sizes) {
    it(`${count} backends have ${slots} slots`, () => {
      assert.equal(slotOwners(Array.from({ length: count }, (_, number) => backend(number))).length, slots);
    });
  }
});

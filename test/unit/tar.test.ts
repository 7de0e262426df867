import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { tarOf } from '../../src/support/tar.ts';

describe('tarOf', () => {
  const archive = tarOf(
    [
      { name: 'a.txt', content: 'hello' },
      { name: 'empty', content: '' },
      { name: 'block', content: 'x'.repeat(512) },
    ],
    1_900_000_000_000,
  );

  it('is read by tar', () => {
    const listed = spawnSync('tar', ['tf', '-'], { input: archive, encoding: 'utf8' });
    assert.deepEqual([listed.stdout, listed.stderr], ['a.txt\nempty\nblock\n', '']);
    assert.equal(spawnSync('tar', ['xOf', '-', 'a.txt'], { input: archive, encoding: 'utf8' }).stdout, 'hello');
  });

  it('refuses names that do not fit', () => {
    assert.throws(() => tarOf([{ name: 'x'.repeat(101), content: '' }], 0), /too long/);
  });
});

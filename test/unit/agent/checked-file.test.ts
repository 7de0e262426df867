import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CheckedFile } from '../../../src/agent/checked-file.ts';

describe('a checked file', () => {
  let folder: string;
  const open = (version = 1) => new CheckedFile(join(folder, 'x.json'), version, (content) => content as object);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-checked-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('gives back what was written, and leaves nothing else behind', () => {
    open().write({ a: [1, 'ü'], b: null });
    assert.deepEqual(open().read(), { value: { a: [1, 'ü'], b: null }, damage: undefined });
    assert.deepEqual(readdirSync(folder), ['x.json']);
    open().remove();
    assert.deepEqual(readdirSync(folder), []);
  });

  it('is absent without complaint', () => {
    assert.deepEqual(open().read(), { value: undefined, damage: undefined });
  });

  const DAMAGES: readonly [name: string, damage: (text: string) => string][] = [
    ['is cut off', (text) => text.slice(0, -10)],
    ['has another value', (text) => text.replace('"a":1', '"a":2')],
    ['is empty', () => ''],
    ['is of another version', (text) => text.replace('"version":1', '"version":2')],
    ['is something else', () => '[1,2,3]'],
  ];
  for (const [name, damage] of DAMAGES) {
    it(`is set aside and not trusted when it ${name}`, () => {
      const file = open();
      file.write({ a: 1 });
      const text = damage(readFileSync(file.path, 'utf8'));
      writeFileSync(file.path, text);
      const { value, damage: said } = open().read();
      assert.equal(value, undefined);
      assert.match(said ?? '', /set aside as .*x\.json\.damaged/);
      assert.equal(existsSync(file.path), false);
      assert.equal(readFileSync(`${file.path}.damaged`, 'utf8'), text);
    });
  }
});

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { TABLE } from '../packet-table/table.ts';

const ROOT = new URL('../../', import.meta.url);
/** How many behaviours each group of the page has. */
const GROUPS = { A: 12, B: 24, C: 22, D: 13, E: 10, F: 9, G: 11, H: 13, I: 20, J: 22, K: 19, L: 12, M: 13, Q: 6 };

interface Behaviour {
  readonly number: string;
  readonly isTicked: boolean;
  readonly text: string;
  readonly scenarios: string[];
  readonly tests: { readonly file: string; readonly name: string }[];
}

/** Items of the page by their form, and what to do with them. */
const ITEMS: readonly (readonly [RegExp, (behaviours: Behaviour[], match: readonly string[]) => void])[] = [
  [
    /^- \[([ x])\] \*\*([A-Q]\d+)\*\* (.+)$/,
    (behaviours, [, tick, number = '', text = '']) =>
      behaviours.push({ number, isTicked: tick === 'x', text, scenarios: [], tests: [] }),
  ],
  [/^ {2}- packet table: (.+)$/, (behaviours, [, scenario = '']) => behaviours.at(-1)?.scenarios.push(scenario)],
  [
    /^ {2}- `(test\/.+\.ts)`: (.+)$/,
    (behaviours, [, file = '', name = '']) => behaviours.at(-1)?.tests.push({ file, name }),
  ],
];

function parsePage(text: string): Behaviour[] {
  const behaviours: Behaviour[] = [];
  for (const line of text.split('\n').filter((one) => /^ *- /.test(one))) {
    const found = ITEMS.flatMap(([form, read]) => {
      const match = form.exec(line);
      return match === null ? [] : [() => read(behaviours, match)];
    });
    assert.equal(found.length, 1, `not understood: ${line}`);
    found[0]?.();
  }
  return behaviours;
}

describe('docs/behaviours.md', () => {
  const behaviours = parsePage(readFileSync(new URL('docs/behaviours.md', ROOT), 'utf8'));

  it('has every behaviour once, in order', () => {
    const wanted = Object.entries(GROUPS).flatMap(([group, count]) =>
      Array.from({ length: count }, (_, index) => `${group}${index + 1}`),
    );
    assert.deepEqual(
      behaviours.map(({ number }) => number),
      wanted,
    );
  });

  it('ticks what a test proves, or what it says a reason for', () => {
    for (const { number, isTicked, text, scenarios, tests } of behaviours) {
      const isExplained = /^_(Differs|Nothing to prove)_: /.test(text);
      assert.ok(!isTicked || isExplained || scenarios.length + tests.length > 0, `${number}: no test`);
      assert.equal(!isTicked, text.startsWith('_Not yet_: '), `${number}: ticked and missing at once, or neither`);
    }
  });

  it('names tests that exist', () => {
    for (const { number, tests } of behaviours) {
      for (const { file, name } of tests) {
        const path = new URL(file, ROOT);
        assert.ok(existsSync(path), `${number}: no file ${file}`);
        assert.ok(readFileSync(path, 'utf8').includes(name), `${number}: no test "${name}" in ${file}`);
      }
    }
  });

  it('names the scenarios of the packet table that say so themselves', () => {
    for (const { number, scenarios } of behaviours) {
      const covering = TABLE.filter(({ covers }) => covers.includes(number)).map(({ name }) => name);
      assert.deepEqual(scenarios, covering, number);
    }
    const known = new Set(behaviours.map(({ number }) => number));
    for (const { name, covers } of TABLE) {
      for (const number of covers) assert.ok(known.has(number), `${name}: no behaviour ${number}`);
    }
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidArgumentError } from 'commander';
import { parseSeconds } from '../../../src/cli/operate/flags.ts';
import { ageText, renderTable } from '../../../src/cli/operate/output.ts';
import { parseTarget } from '../../../src/cli/operate/status.ts';

describe('renderTable', () => {
  const columns = [
    { head: 'NAME' },
    { head: 'COUNT', isRight: true },
    { head: 'MORE', isWide: true },
    { head: 'LAST' },
  ];

  it('aligns columns and leaves out wide ones', () => {
    assert.deepEqual(
      renderTable(columns, [
        ['a', '1', 'x', 'end'],
        ['longer', '10', 'y', ''],
      ]),
      ['NAME     COUNT   LAST', 'a            1   end', 'longer      10'],
    );
  });

  it('shows all columns when asked', () => {
    assert.match(renderTable(columns, [['a', '1', 'x', 'end']], { isWide: true })[0] ?? '', /MORE/);
  });

  it('takes control characters out of cells', () => {
    assert.equal(renderTable([{ head: 'A' }], [['x\u001b[2Jy\rz']])[1], 'x[2Jyz');
  });

  it('colours cells without moving the columns', () => {
    const painter = (text: string, tone: string): string => (tone === 'plain' ? text : `<${text}>`);
    const lines = renderTable([{ head: 'A' }, { head: 'B' }], [[{ text: 'x', tone: 'bad' }, 'y']], { painter });
    assert.deepEqual(lines, ['A   B', '<x>   y']);
  });
});

describe('ageText', () => {
  for (const [seconds, text] of [
    [0, '0s'],
    [119, '119s'],
    [130, '2m10s'],
    [3_600, '60m'],
    [11_000, '3h3m'],
    [200_000, '2d'],
  ] as const) {
    it(text, () => assert.equal(ageText(0, seconds * 1_000), text));
  }
});

describe('parseSeconds', () => {
  for (const [text, seconds] of [
    ['90', 90],
    ['90s', 90],
    ['5m', 300],
    ['1h30m', 5_400],
    ['0', 0],
  ] as const) {
    it(text, () => assert.equal(parseSeconds(text), seconds));
  }
  for (const text of ['', 'soon', '-1', '5 m']) {
    it(`refuses "${text}"`, () => assert.throws(() => parseSeconds(text), InvalidArgumentError));
  }
});

describe('parseTarget', () => {
  for (const [words, kind, name] of [
    [[], 'fleet', ''],
    [['workers'], 'profile', 'workers'],
    [['profile/workers'], 'profile', 'workers'],
    [['pp', 'workers'], 'profile', 'workers'],
    [['node/n1'], 'node', 'n1'],
    [['node', 'n1'], 'node', 'n1'],
    [['nodeproxystates.switchyard.dev/n1'], 'node', 'n1'],
  ] as const) {
    it(words.join(' ') || 'nothing', () => assert.deepEqual(parseTarget(words), { kind, name }));
  }
  for (const words of [['pod/x'], ['node/'], ['a', 'b', 'c']]) {
    it(`refuses ${words.join(' ')}`, () => assert.throws(() => parseTarget(words)));
  }
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../property.ts';
import { ExpressionError, parseCondition } from '../../../../src/core/rollout/expression.ts';

describe('the condition of a gate', () => {
  const good: [text: string, result: number, expected: boolean][] = [
    ['result < 0.01', 0.005, true],
    ['result < 0.01', 0.01, false],
    ['result >= 1 && result <= 2', 1.5, true],
    ['result == 0 || result > 1e3', 2000, true],
    ['!(result > 5)', 6, false],
    ['1 + 2 * result == 7', 3, true],
    ['(1 + 2) * result == 9', 3, true],
    ['-result < 0 - 1', 2, true],
    ['10 - 2 - 3 == result', 5, true],
    ['result / 0 > 1', 1, true],
  ];
  for (const [text, result, expected] of good) {
    it(`${text} with ${result} is ${expected}`, () =>
      assert.equal(parseCondition(text, ['result'])({ result }), expected));
  }

  const bad = [
    '',
    'result',
    '1 < 2 < 3',
    'status < 1',
    'result < ',
    '(result < 1',
    'result < 1)',
    'process.exit(1)',
    '`x`',
    'result && 1',
  ];
  for (const text of [...bad, 'result = 1', 'a["b"] < 1', '!result']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseCondition(text, ['result']), ExpressionError));
  }

  it('whatever the text, it is refused or gives a truth', () => {
    const token = fc.constantFrom(
      'result',
      '1',
      '0.5',
      '<',
      '>=',
      '==',
      '&&',
      '||',
      '!',
      '(',
      ')',
      '+',
      '-',
      '*',
      '/',
      ' ',
    );
    assertProperty(
      fc.property(fc.array(token, { maxLength: 12 }), fc.double(), (tokens, result) => {
        try {
          assert.equal(typeof parseCondition(tokens.join(' '), ['result'])({ result }), 'boolean');
        } catch (error) {
          assert.ok(error instanceof ExpressionError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

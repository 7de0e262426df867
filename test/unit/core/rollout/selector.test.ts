import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OPERATORS, type LabelSelector } from '../../../../src/core/api/meta.ts';
import { matchesSelector } from '../../../../src/core/rollout/selector.ts';

const LABELS = { zone: 'east', empty: '' };

const CASES: [name: string, selector: LabelSelector, expected: boolean][] = [
  ['an empty selector', {}, true],
  ['equal labels', { matchLabels: { zone: 'east', empty: '' } }, true],
  ['one label that differs', { matchLabels: { zone: 'east', empty: 'x' } }, false],
  ['a label that is absent', { matchLabels: { other: '' } }, false],
  ['a key that every object inherits', { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, false],
  ['In', { matchExpressions: [{ key: 'zone', operator: 'In', values: ['west', 'east'] }] }, true],
  ['In without the value', { matchExpressions: [{ key: 'zone', operator: 'In', values: ['west'] }] }, false],
  ['In of an absent label', { matchExpressions: [{ key: 'other', operator: 'In', values: [''] }] }, false],
  ['NotIn', { matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['west'] }] }, true],
  ['NotIn with the value', { matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['east'] }] }, false],
  ['NotIn of an absent label', { matchExpressions: [{ key: 'other', operator: 'NotIn', values: ['east'] }] }, true],
  ['Exists with an empty value', { matchExpressions: [{ key: 'empty', operator: 'Exists' }] }, true],
  ['DoesNotExist', { matchExpressions: [{ key: 'other', operator: 'DoesNotExist' }] }, true],
  ['DoesNotExist of a label that is there', { matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' }] }, false],
  [
    'labels that fit and an expression that does not',
    { matchLabels: { zone: 'east' }, matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' }] },
    false,
  ],
];

describe('a node selector', () => {
  for (const [name, selector, expected] of CASES) {
    it(`${name} ${expected ? 'matches' : 'does not match'}`, () => {
      assert.equal(matchesSelector(selector, LABELS), expected);
    });
  }

  it('has a case for every operator, both ways', () => {
    for (const operator of OPERATORS) {
      const of = CASES.filter(([, { matchExpressions = [] }]) =>
        matchExpressions.some((one) => one.operator === operator),
      );
      assert.deepEqual([...new Set(of.map(([, , expected]) => expected))].sort(), [false, true], operator);
    }
  });
});

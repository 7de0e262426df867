import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  label1035Problems,
  labelProblems,
  labelValueProblems,
  pathSegmentProblems,
  qualifiedNameProblems,
  subdomainProblems,
  type NameRule,
} from '../../../../../src/sandbox/apiserver/registry/names.ts';

const LONG = 'a'.repeat(64);

describe('Names', () => {
  const TABLE: { rule: string; check: NameRule; good: string[]; bad: string[] }[] = [
    {
      rule: 'subdomain',
      check: subdomainProblems,
      good: ['a', 'a-b', 'a.b-c.d', '1', LONG, 'kubernetes.io'],
      bad: ['', 'A', '-a', 'a-', 'a..b', 'a_b', 'a b', '.a', 'a'.repeat(254)],
    },
    { rule: 'label', check: labelProblems, good: ['a', '1a', 'a-1'], bad: ['', 'a.b', 'A', '-a', LONG] },
    { rule: 'RFC 1035 label', check: label1035Problems, good: ['a', 'a-1'], bad: ['', '1a', 'a.b', 'A', LONG] },
    { rule: 'label value', check: labelValueProblems, good: ['', 'A', 'a_b.c-d'], bad: ['-a', 'a b', 'a/b', LONG] },
    {
      rule: 'qualified name',
      check: qualifiedNameProblems,
      good: ['a', 'A_b', 'example.com/a', 'example.com/A.b'],
      bad: ['', '/a', 'a/', 'a/b/c', 'Example.com/a', 'a b', `example.com/${LONG}`],
    },
    { rule: 'path segment', check: pathSegmentProblems, good: ['a', 'A:b'], bad: ['.', '..', 'a/b', 'a%b'] },
  ];
  for (const { rule, check, good, bad } of TABLE) {
    for (const name of good) it(`${rule}: accepts ${JSON.stringify(name)}`, () => assert.deepEqual(check(name), []));
    for (const name of bad) it(`${rule}: refuses ${JSON.stringify(name)}`, () => assert.notDeepEqual(check(name), []));
  }
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jsonMergePatch } from '../../../../../src/sandbox/apiserver/apply/merge-patch.ts';
import type { JsonObject } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';

describe('jsonMergePatch', () => {
  const cases: { name: string; object: JsonObject; patch: JsonObject; result: JsonObject }[] = [
    { name: 'sets and keeps', object: { a: 1, b: 2 }, patch: { b: 3 }, result: { a: 1, b: 3 } },
    { name: 'removes with null', object: { a: 1, b: 2 }, patch: { a: null }, result: { b: 2 } },
    {
      name: 'merges below',
      object: { a: { b: 1, c: 2 } },
      patch: { a: { b: null, d: 3 } },
      result: { a: { c: 2, d: 3 } },
    },
    { name: 'replaces lists', object: { a: [1, 2] }, patch: { a: [3] }, result: { a: [3] } },
    {
      name: 'drops nulls of new objects',
      object: {},
      patch: { a: { b: null, c: { d: null } } },
      result: { a: { c: {} } },
    },
    { name: 'puts an object in place of a scalar', object: { a: 1 }, patch: { a: { b: 2 } }, result: { a: { b: 2 } } },
  ];
  for (const { name, object, patch, result } of cases) {
    it(name, () => {
      const before = structuredClone({ object, patch });
      assert.deepEqual(jsonMergePatch(object, patch), result);
      assert.deepEqual({ object, patch }, before, 'the arguments changed');
    });
  }
});

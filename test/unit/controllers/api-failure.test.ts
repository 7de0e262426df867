import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApiException } from '@kubernetes/client-node';
import { toApiError } from '../../../src/controllers/api-failure.ts';
import { ApiError } from '../../../src/kube/error.ts';

const status = { kind: 'Status', reason: 'Forbidden', message: 'nodes is forbidden: no rights', code: 403 };
const refused = new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:6443') });

describe('a failed request', () => {
  const cases: [name: string, thrown: unknown, status: number, message: RegExp, retryable: boolean][] = [
    ['a refusal with a Status object', new ApiException(403, 'no', status, {}), 403, /nodes is forbidden/, false],
    [
      'a refusal with a Status as text',
      new ApiException(403, 'no', JSON.stringify(status), {}),
      403,
      /forbidden/,
      false,
    ],
    ['a refusal by something in between', new ApiException(502, 'no', '<html>', {}), 502, /<html>/, true],
    ['a conflict', new ApiException(409, 'no', { reason: 'Conflict' }, {}), 409, /Conflict/, true],
    ['a watch that is refused', Object.assign(new Error('Gone'), { statusCode: 410 }), 410, /Gone/, false],
    ['no answer, with its root cause', refused, 0, /ECONNREFUSED 127\.0\.0\.1:6443/, true],
    ['many causes', new Error('failed', { cause: new AggregateError([new Error('first')]) }), 0, /first/, true],
  ];
  for (const [name, thrown, expected, message, retryable] of cases) {
    it(`${name} becomes an ApiError`, () => {
      const error = toApiError('list', 'nodes', thrown);
      assert.deepEqual([error.operation, error.object, error.status], ['list', 'nodes', expected]);
      assert.match(error.message, message);
      assert.equal(error.retryable, retryable);
    });
  }

  it('an ApiError stays what it is', () => {
    const error = new ApiError('get', 'x', 404, {});
    assert.equal(toApiError('list', 'nodes', error), error);
  });
});

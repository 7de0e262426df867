import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ObjectCache } from '../../../src/controllers/object-cache.ts';

function object(name: string, generation: number, uid = `uid-${name}`, creationTimestamp = '2026-01-01T00:00:00Z') {
  return { apiVersion: 'v1', kind: 'Thing', metadata: { name, generation, uid, creationTimestamp } };
}

function contents(cache: ObjectCache<ReturnType<typeof object>>): string[] {
  return cache.list().map(({ metadata }) => `${metadata.name} ${metadata.uid} ${metadata.generation}`);
}

describe('the object cache', () => {
  it('does not take an event that is older than our own write', () => {
    const cache = new ObjectCache<ReturnType<typeof object>>();
    cache.upsert(object('a', 1));
    cache.recordWrite(object('a', 2));
    assert.equal(cache.upsert(object('a', 1)), false);
    assert.equal(cache.upsert(object('a', 2)), true);
    assert.deepEqual(contents(cache), ['a uid-a 2']);
  });

  it('a list asked for before our own write does not take that back; one asked for after it does', () => {
    const cache = new ObjectCache<ReturnType<typeof object>>();
    const before = cache.mark();
    cache.recordWrite(object('a', 1));
    assert.deepEqual(cache.replace([], before), []);
    assert.deepEqual(contents(cache), ['a uid-a 1']);
    assert.equal(cache.replace([], cache.mark()).length, 1);
    assert.deepEqual(contents(cache), []);
  });

  it('tells an object from an earlier one of its name', () => {
    const cache = new ObjectCache<ReturnType<typeof object>>();
    cache.recordWrite(object('a', 1, 'new', '2026-01-01T00:00:05Z'));
    assert.equal(cache.upsert(object('a', 9, 'old')), false);
    assert.equal(cache.remove(object('a', 9, 'old')), false);
    assert.equal(cache.upsert(object('a', 1, 'newer', '2026-01-01T00:00:09Z')), true);
    assert.equal(cache.remove(object('a', 1, 'newer', '2026-01-01T00:00:09Z')), true);
    assert.deepEqual(contents(cache), []);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../../property.ts';
import type { KubeObject } from '../../../../../src/sandbox/apiserver/object.ts';
import { CompactedError, Store } from '../../../../../src/sandbox/apiserver/store/store.ts';

function object(name: string, value = 0): KubeObject {
  return { apiVersion: 'v1', kind: 'Thing', metadata: { name }, value };
}

/** What a collection holds, without the revisions. */
function content(store: Store, revision?: number): string {
  return store
    .list('things', revision)
    .map(([key, { value }]) => `${key}=${JSON.stringify(value)}`)
    .join(' ');
}

describe('Store', () => {
  it('gives every change its own revision, which the object carries', () => {
    const store = new Store(10);
    const first = store.put('things', 'a', object('a'));
    const second = store.put('things', 'a', object('a', 1));
    assert.equal(Number(second.metadata.resourceVersion), Number(first.metadata.resourceVersion) + 1);
    const last = store.remove('things', 'a', second);
    assert.equal(last.metadata.resourceVersion, String(store.revision));
    assert.equal(store.get('things', 'a'), undefined);
  });

  it('delivers the changes of a listener after the one that it listened to', () => {
    const store = new Store(10);
    const seen: string[] = [];
    store.subscribe(({ key }) => {
      if (key === 'a') store.put('things', 'b', object('b'));
    });
    store.subscribe(({ key, revision }) => seen.push(`${key}@${revision}`));
    store.put('things', 'a', object('a'));
    assert.deepEqual(seen, ['a@2', 'b@3']);
  });

  it('forgets what is beyond its limit', () => {
    const store = new Store(3);
    for (let value = 0; value < 20; value += 1) store.put('things', 'a', object('a', value));
    assert.throws(() => store.list('things', 2), CompactedError);
    assert.throws(() => store.eventsSince('things', 2), CompactedError);
    assert.equal(content(store, store.revision - 3), 'a=16');
    assert.equal(store.eventsSince('things', store.revision - 3).length, 3);
  });

  it('has no history left after a compaction, and goes on from there', () => {
    const store = new Store(10);
    store.put('things', 'a', object('a'));
    const before = store.revision - 1;
    store.compact();
    assert.throws(() => store.eventsSince('things', before), CompactedError);
    assert.deepEqual(store.eventsSince('things', store.revision), []);
    store.put('things', 'b', object('b'));
    assert.equal(store.eventsSince('things', store.revision - 1).length, 1);
  });

  it('lists every revision as it was, whatever happened since', () => {
    const change = fc.record({ key: fc.constantFrom('a', 'b', 'c'), isRemoval: fc.boolean(), value: fc.nat(9) });
    assertProperty(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const store = new Store(1000);
        const snapshots = new Map<number, string>();
        for (const { key, isRemoval, value } of changes) {
          const present = store.get('things', key);
          if (isRemoval && present) store.remove('things', key, present);
          else store.put('things', key, object(key, value));
          snapshots.set(store.revision, content(store));
        }
        for (const [revision, wanted] of snapshots) assert.equal(content(store, revision), wanted);
      }),
    );
  });

  it('turns one revision into another by its events', () => {
    const store = new Store(100);
    for (const [index, key] of ['a', 'b', 'a', 'c'].entries()) store.put('things', key, object(key, index));
    const since = 3;
    const replayed = new Map(store.list('things', since));
    for (const { type, key, object: changed } of store.eventsSince('things', since)) {
      if (type === 'DELETED') replayed.delete(key);
      else replayed.set(key, changed);
    }
    assert.deepEqual([...replayed].sort(), store.list('things'));
  });
});

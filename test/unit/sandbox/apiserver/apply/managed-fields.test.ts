import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../../property.ts';
import { FieldSet, formatPath } from '../../../../../src/sandbox/apiserver/apply/field-set.ts';
import type {
  ManagedFieldsEntry,
  UpdateToTrack,
} from '../../../../../src/sandbox/apiserver/apply/managed-fields-entry.ts';
import { trackUpdate } from '../../../../../src/sandbox/apiserver/apply/managed-fields.ts';
import type { JsonObject } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';
import { WIDGET_SCHEMA, WIDGET_VERSION, widget } from './widget.ts';

const UPDATE = {
  operation: 'Update',
  apiVersion: WIDGET_VERSION,
  time: '2026-01-01T00:00:00Z',
  subresource: '',
  schema: WIDGET_SCHEMA,
} as const;

function track(before: JsonObject | undefined, after: JsonObject, manager: string, more: Partial<UpdateToTrack> = {}) {
  return trackUpdate({ ...UPDATE, before, after, manager, ...more });
}

function managedBy(object: JsonObject, managedFields: ManagedFieldsEntry[] | undefined): JsonObject {
  const metadata = { ...(object['metadata'] as JsonObject), managedFields } as unknown as JsonObject;
  return { ...object, metadata };
}

function created(spec: JsonObject, manager = 'creator'): JsonObject {
  return managedBy(widget(spec), track(undefined, widget(spec), manager));
}

function summary(entries: ManagedFieldsEntry[]): Record<string, unknown> {
  return Object.fromEntries(entries.map(({ manager, fieldsV1 }) => [manager, fieldsV1]));
}

describe('trackUpdate', () => {
  it('gives a new object to its creator, structs and maps themselves included', () => {
    const entries = track(
      undefined,
      widget({ mode: 'x', labels: { k: 'v' } }, { uid: 'u', labels: { l: 'm' } }),
      'creator',
    );
    assert.deepEqual(entries, [
      {
        manager: 'creator',
        operation: 'Update',
        apiVersion: WIDGET_VERSION,
        time: UPDATE.time,
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { '.': {}, 'f:l': {} } },
          'f:spec': { '.': {}, 'f:labels': { '.': {}, 'f:k': {} }, 'f:mode': {} },
        },
      },
    ]);
  });

  it('moves what an update changes, and nothing else', () => {
    const live = created({ mode: 'x', replicas: 1 });
    assert.deepEqual(summary(track(live, { ...live, spec: { mode: 'y', replicas: 1 } }, 'editor')), {
      creator: { 'f:spec': { '.': {}, 'f:replicas': {} } },
      editor: { 'f:spec': { 'f:mode': {} } },
    });
  });

  it('takes what an update removes from its owner', () => {
    const live = created({ mode: 'x', replicas: 1 });
    assert.deepEqual(summary(track(live, { ...live, spec: { replicas: 1 } }, 'editor')), {
      creator: { 'f:spec': { '.': {}, 'f:replicas': {} } },
    });
  });

  it('adds to the entry that a manager has already', () => {
    const live = created({ mode: 'x' });
    const [entry, ...others] = track(live, { ...live, spec: { mode: 'x', replicas: 2 } }, 'creator', {
      time: '2026-02-02T00:00:00Z',
    });
    assert.deepEqual([others, entry?.time], [[], '2026-02-02T00:00:00Z']);
    assert.deepEqual(entry?.fieldsV1, { 'f:spec': { '.': {}, 'f:mode': {}, 'f:replicas': {} } });
  });

  it('changes nothing when an update changes nothing', () => {
    const live = created({ mode: 'x' });
    const stored = (live['metadata'] as JsonObject)['managedFields'] as unknown;
    assert.deepEqual(track(live, structuredClone(live), 'somebody', { time: '2027-01-01T00:00:00Z' }), stored);
  });

  it('gives back the owners to a client that dropped them', () => {
    const live = created({ mode: 'x' });
    assert.deepEqual(Object.keys(summary(track(live, widget({ mode: 'x' }), 'old-client'))), ['creator']);
  });

  it('forgets the owners when asked to, until somebody applies', () => {
    const live = created({ mode: 'x' });
    assert.deepEqual(track(live, managedBy(widget({ mode: 'y' }), []), 'cleaner'), []);
    assert.deepEqual(track(widget({ mode: 'x' }), widget({ mode: 'y' }), 'editor'), []);
  });

  it('believes a valid list that a client sends', () => {
    const live = created({ mode: 'x' });
    const sent = [{ ...track(undefined, widget({ mode: 'x' }), 'renamed')[0] }] as ManagedFieldsEntry[];
    assert.deepEqual(Object.keys(summary(track(live, managedBy(widget({ mode: 'x' }), sent), 'migration'))), [
      'renamed',
    ]);
  });

  it('keeps an update of status apart from one of the main resource', () => {
    const live = created({ mode: 'x' });
    const entries = track(live, { ...live, status: { phase: 'Ready' } }, 'creator', { subresource: 'status' });
    assert.deepEqual(
      entries.map(({ subresource, fieldsV1 }) => [subresource, fieldsV1]),
      [
        [undefined, { 'f:spec': { '.': {}, 'f:mode': {} } }],
        ['status', { 'f:status': { '.': {}, 'f:phase': {} } }],
      ],
    );
  });

  it('leaves out fields that the endpoint ignores', () => {
    const live = created({ mode: 'x' });
    const entries = track(live, { ...live, status: { phase: 'Ready' } }, 'creator', { ignored: ['status'] });
    assert.deepEqual(summary(entries), { creator: { 'f:spec': { '.': {}, 'f:mode': {} } } });
  });
});

const element = fc.constantFrom('f:a', 'f:b', 'k:{"port":80}', 'v:"x"');
const paths = fc.array(fc.array(element, { minLength: 1, maxLength: 3 }), { maxLength: 6 });

function setOf(list: string[][]): FieldSet {
  const set = new FieldSet();
  for (const path of list) set.insert(path);
  return set;
}

describe('FieldSet', () => {
  it('survives being written and read', () => {
    assertProperty(
      fc.property(paths, (list) => {
        const set = setOf(list);
        assert.deepEqual(FieldSet.parse(set.toFieldsV1()).paths(), set.paths());
      }),
    );
  });

  it('obeys the laws of sets', () => {
    assertProperty(
      fc.property(paths, paths, (a, b) => {
        const [left, right] = [setOf(a), setOf(b)];
        assert.ok(left.union(right).equals(right.union(left)));
        assert.ok(left.difference(right).union(left.intersection(right)).equals(left));
        assert.ok(left.difference(right).intersection(right).isEmpty);
      }),
    );
  });

  it('writes paths as people read them', () => {
    assert.equal(
      formatPath(['f:spec', 'f:ports', 'k:{"port":80,"protocol":"TCP"}', 'f:name']),
      '.spec.ports[port=80,protocol="TCP"].name',
    );
    assert.equal(formatPath(['f:metadata', 'f:finalizers', 'v:"x/y"']), '.metadata.finalizers[="x/y"]');
  });
});

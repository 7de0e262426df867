import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../../property.ts';
import type { ApplyRequest } from '../../../../../src/sandbox/apiserver/apply/managed-fields-entry.ts';
import { trackUpdate } from '../../../../../src/sandbox/apiserver/apply/managed-fields.ts';
import { serverSideApply } from '../../../../../src/sandbox/apiserver/apply/server-side-apply.ts';
import type { JsonObject } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';
import { WIDGET_SCHEMA, WIDGET_VERSION, widget } from './widget.ts';

const REQUEST = {
  force: false,
  apiVersion: WIDGET_VERSION,
  time: '2026-01-01T00:00:00Z',
  subresource: '',
  schema: WIDGET_SCHEMA,
};

function attempt(live: JsonObject | undefined, manager: string, spec: JsonObject, more: Partial<ApplyRequest> = {}) {
  return serverSideApply({ ...REQUEST, live, applied: widget(spec), manager, ...more });
}

function apply(live: JsonObject | undefined, manager: string, spec: JsonObject, more: Partial<ApplyRequest> = {}) {
  const outcome = attempt(live, manager, spec, more);
  assert.ok('object' in outcome, `conflict: ${'message' in outcome ? outcome.message : ''}`);
  return outcome.object;
}

/** What a client that reads, changes and puts does. */
function update(live: JsonObject | undefined, manager: string, spec: JsonObject, time = REQUEST.time): JsonObject {
  const after: JsonObject = { ...(live ?? widget({})), spec };
  const managedFields = trackUpdate({ ...REQUEST, before: live, after, manager, operation: 'Update', time });
  const metadata = { ...(after['metadata'] as JsonObject), managedFields } as unknown as JsonObject;
  return { ...after, metadata };
}

interface Owner {
  manager: string;
  fieldsV1: unknown;
}

function owned(object: JsonObject, manager: string): unknown {
  const entries = ((object['metadata'] as JsonObject)['managedFields'] ?? []) as unknown as Owner[];
  return entries.find((entry) => entry.manager === manager)?.fieldsV1;
}

describe('serverSideApply', () => {
  it('creates the object and owns each field it named', () => {
    const object = apply(undefined, 'a', { mode: 'x', nested: { a: 1 }, labels: { k: 'v' }, words: ['p', 'q'] });
    assert.deepEqual(object['spec'], { mode: 'x', nested: { a: 1 }, labels: { k: 'v' }, words: ['p', 'q'] });
    assert.deepEqual(owned(object, 'a'), {
      'f:spec': { 'f:mode': {}, 'f:nested': { 'f:a': {} }, 'f:labels': { 'f:k': {} }, 'f:words': {} },
    });
  });

  it('owns items of keyed lists and sets by their keys, with defaulted keys filled in', () => {
    const object = apply(undefined, 'a', { ports: [{ port: 80, name: 'http' }], tags: ['x'] });
    assert.deepEqual(owned(object, 'a'), {
      'f:spec': {
        'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:name': {}, 'f:port': {} } },
        'f:tags': { 'v:"x"': {} },
      },
    });
  });

  describe('removes what the manager stopped applying', () => {
    const cases: { name: string; first: JsonObject; second: JsonObject; spec: JsonObject | undefined }[] = [
      { name: 'a scalar', first: { mode: 'x', replicas: 2 }, second: { replicas: 2 }, spec: { replicas: 2 } },
      {
        name: 'the last field of a struct, and so the struct',
        first: { mode: 'x', nested: { a: 1 } },
        second: { mode: 'x' },
        spec: { mode: 'x' },
      },
      {
        name: 'one field of a struct',
        first: { nested: { a: 1, b: 2 } },
        second: { nested: { b: 2 } },
        spec: { nested: { b: 2 } },
      },
      {
        name: 'a map entry',
        first: { labels: { a: '1', b: '2' } },
        second: { labels: { b: '2' } },
        spec: { labels: { b: '2' } },
      },
      {
        name: 'an item of a keyed list',
        first: { ports: [{ port: 1 }, { port: 2 }] },
        second: { ports: [{ port: 2 }] },
        spec: { ports: [{ port: 2 }] },
      },
      { name: 'an item of a set', first: { tags: ['a', 'b'] }, second: { tags: ['b'] }, spec: { tags: ['b'] } },
      {
        name: 'an element of an atomic list',
        first: { words: ['a', 'b'] },
        second: { words: ['b'] },
        spec: { words: ['b'] },
      },
      { name: 'everything', first: { mode: 'x' }, second: {}, spec: {} },
    ];
    for (const { name, first, second, spec } of cases) {
      it(name, () => {
        assert.deepEqual(apply(apply(undefined, 'a', first), 'a', second)['spec'], spec);
      });
    }
  });

  it('keeps a field that somebody else applies too', () => {
    const live = apply(apply(undefined, 'a', { mode: 'x', replicas: 2 }), 'b', { mode: 'x' });
    const after = apply(live, 'a', { replicas: 2 });
    assert.deepEqual(after['spec'], { mode: 'x', replicas: 2 });
    assert.deepEqual(owned(after, 'a'), { 'f:spec': { 'f:replicas': {} } });
  });

  it('keeps what an updater added to a struct whose other fields go', () => {
    const live = apply(undefined, 'a', { mode: 'x', nested: { a: 1 } });
    const edited = update(live, 'editor', { mode: 'x', nested: { a: 1, b: 2 } });
    assert.deepEqual(apply(edited, 'a', { mode: 'x' })['spec'], { mode: 'x', nested: { b: 2 } });
  });

  it('refuses to change a field that another manager applied, and names both', () => {
    const outcome = attempt(apply(undefined, 'a', { mode: 'x' }), 'b', { mode: 'y' });
    assert.deepEqual(outcome, {
      conflicts: [{ manager: 'a', path: '.spec.mode', message: 'conflict with "a"' }],
      message: 'Apply failed with 1 conflict: conflict with "a": .spec.mode',
    });
  });

  it('names the version that an updater used, and lists several conflicts by manager', () => {
    const edited = update(apply(undefined, 'a', { mode: 'x', ports: [{ port: 80, name: 'p' }] }), 'kubectl-edit', {
      mode: 'y',
      ports: [{ port: 80, name: 'p' }],
    });
    const one = attempt(edited, 'a', { mode: 'x', ports: [{ port: 80, name: 'p' }] });
    assert.equal(
      'message' in one && one.message,
      'Apply failed with 1 conflict: conflict with "kubectl-edit" using example.org/v1: .spec.mode',
    );
    const both = attempt(edited, 'c', { mode: 'z', ports: [{ port: 80, name: 'q' }] });
    assert.equal(
      'message' in both && both.message,
      [
        'Apply failed with 2 conflicts: conflicts with "a":',
        '- .spec.ports[port=80,protocol="TCP"].name',
        'conflicts with "kubectl-edit" using example.org/v1:',
        '- .spec.mode',
      ].join('\n'),
    );
  });

  it('takes the field over with force, so that the former owner conflicts in turn', () => {
    const taken = apply(apply(undefined, 'a', { mode: 'x', replicas: 1 }), 'b', { mode: 'y' }, { force: true });
    assert.deepEqual(taken['spec'], { mode: 'y', replicas: 1 });
    assert.deepEqual(owned(taken, 'a'), { 'f:spec': { 'f:replicas': {} } });
    const back = attempt(taken, 'a', { mode: 'x', replicas: 1 });
    assert.deepEqual('conflicts' in back && back.conflicts.map(({ path }) => path), ['.spec.mode']);
  });

  it('lets two managers share keyed lists and sets without a conflict', () => {
    const live = apply(undefined, 'a', { ports: [{ port: 1, name: 'one' }], tags: ['a'] });
    const both = apply(live, 'b', {
      ports: [
        { port: 2, name: 'two' },
        { port: 1, weight: 5 },
      ],
      tags: ['b'],
    });
    assert.deepEqual(both['spec'], {
      ports: [
        { port: 2, name: 'two' },
        { port: 1, name: 'one', weight: 5 },
      ],
      tags: ['a', 'b'],
    });
    assert.deepEqual(apply(both, 'b', {})['spec'], { ports: [{ port: 1, name: 'one' }], tags: ['a'] });
  });

  it('treats atomic lists and maps as one value', () => {
    const live = apply(undefined, 'a', { words: ['a'], selector: { a: '1' } });
    const outcome = attempt(live, 'b', { words: ['a', 'b'], selector: { b: '2' } });
    assert.deepEqual('conflicts' in outcome && outcome.conflicts.map(({ path }) => path), [
      '.spec.selector',
      '.spec.words',
    ]);
    assert.deepEqual(apply(live, 'b', { selector: { b: '2' } }, { force: true })['spec'], {
      words: ['a'],
      selector: { b: '2' },
    });
  });

  it('keeps ownership of the main resource and of status apart', () => {
    const live = apply(undefined, 'a', { mode: 'x' });
    const applied = { ...widget({ mode: 'ignored' }), status: { phase: 'Ready' } };
    const after = serverSideApply({ ...REQUEST, live, applied, manager: 'a', subresource: 'status' });
    assert.ok('object' in after);
    assert.deepEqual([after.object['spec'], after.object['status']], [{ mode: 'x' }, { phase: 'Ready' }]);
    const entries = (after.object['metadata'] as JsonObject)['managedFields'] as JsonObject[];
    assert.deepEqual(
      entries.map(({ subresource, fieldsV1 }) => [subresource, fieldsV1]),
      [
        [undefined, { 'f:spec': { 'f:mode': {} } }],
        ['status', { 'f:status': { 'f:phase': {} } }],
      ],
    );
    assert.deepEqual(apply(after.object, 'a', {}, { ignored: ['status'] })['status'], { phase: 'Ready' });
  });

  it('gives an object that nobody tracked to before-first-apply', () => {
    const outcome = attempt(widget({ mode: 'x' }, { uid: 'u' }), 'a', { mode: 'y' });
    assert.equal(
      'message' in outcome && outcome.message,
      'Apply failed with 1 conflict: conflict with "before-first-apply" using example.org/v1: .spec.mode',
    );
  });

  it('lets kubectl move from client-side to server-side apply without a conflict', () => {
    const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
    const recorded = `${JSON.stringify(widget({ mode: 'x' }))}\n`;
    const created = widget({ mode: 'x' }, { annotations: { [annotation]: recorded } });
    const managedFields = trackUpdate({
      ...REQUEST,
      before: undefined,
      after: created,
      manager: 'kubectl-client-side-apply',
      operation: 'Update',
    });
    const live = {
      ...created,
      metadata: { ...(created['metadata'] as JsonObject), managedFields: managedFields as unknown as JsonObject[] },
    };
    const after = apply(live, 'kubectl', { mode: 'y' });
    assert.deepEqual(after['spec'], { mode: 'y' });
    const annotations = (after['metadata'] as JsonObject)['annotations'] as JsonObject;
    assert.equal(annotations[annotation], `${JSON.stringify(widget({ mode: 'y' }))}\n`);
    const defaulted = update(live, 'kubectl-client-side-apply', { mode: 'x', replicas: 1 });
    const outcome = attempt(defaulted, 'kubectl', { mode: 'y', replicas: 5 });
    assert.deepEqual(
      'conflicts' in outcome && outcome.conflicts.map(({ path }) => path),
      ['.spec.replicas'],
      'what client-side apply did not record is not its to give',
    );
    assert.ok('conflicts' in attempt(live, 'somebody', { mode: 'y' }));
  });

  it('ignores nulls in metadata', () => {
    const applied = { ...widget({ mode: 'x' }), metadata: { name: 'w', creationTimestamp: null } };
    const outcome = serverSideApply({ ...REQUEST, live: undefined, applied, manager: 'a' });
    assert.ok('object' in outcome && !('creationTimestamp' in (outcome.object['metadata'] as JsonObject)));
  });
});

const name = fc.constantFrom('a', 'b', 'c');
const number = fc.integer({ min: 0, max: 2 });

/** `minimum` 1 leaves out empty containers, which somebody owns only while nothing is in them. Lists are sorted: an apply may reorder. */
function specs(minimum: 0 | 1): fc.Arbitrary<JsonObject> {
  const items = { minLength: minimum, maxLength: 3 };
  const port = fc.record({ port: number, name, weight: number }, { requiredKeys: ['port'] });
  const fields = {
    mode: fc.constantFrom('x', 'y'),
    replicas: number,
    words: fc.array(name, items),
    tags: fc.uniqueArray(name, items).map((list) => list.sort()),
    labels: fc.dictionary(name, name, { minKeys: minimum, maxKeys: 3 }),
    nested: fc.record({ a: number, b: number }, { requiredKeys: minimum === 1 ? ['a'] : [] }),
    ports: fc
      .uniqueArray(port, { ...items, selector: (item) => item.port })
      .map((list) => list.sort((a, b) => a.port - b.port)),
  };
  return fc
    .record(fields, { requiredKeys: [] })
    .map((record) => record as JsonObject)
    .filter((record) => Object.keys(record).length >= minimum);
}
const spec = specs(0);

/** The parts of a spec that each of two managers names; no field belongs to both. */
const disjoint = fc
  .tuple(specs(1), specs(1))
  .map(([left, right]): [JsonObject, JsonObject] => {
    const pick = (from: JsonObject, names: string[]): JsonObject =>
      Object.fromEntries(Object.entries(from).filter(([key]) => names.includes(key)));
    return [pick(left, ['mode', 'words', 'nested']), pick(right, ['replicas', 'tags', 'labels', 'ports'])];
  })
  .filter((parts) => parts.every((part) => Object.keys(part).length > 0));

describe('serverSideApply, for any configuration', () => {
  it('changes nothing when applied again, not even a time', () => {
    assertProperty(
      fc.property(spec, spec, (theirs, mine) => {
        const once = apply(apply(undefined, 'other', theirs), 'me', mine, { force: true });
        const twice = apply(once, 'me', mine, { time: '2027-07-07T07:07:07Z', force: true });
        assert.deepEqual(twice, once);
      }),
    );
  });

  it('leaves nothing of a configuration that is withdrawn, and nothing less than what others apply', () => {
    assertProperty(
      fc.property(specs(1), specs(1), (theirs, mine) => {
        const before = apply(undefined, 'other', theirs);
        const outcome = attempt(before, 'me', mine);
        if (!('object' in outcome)) return;
        const { spec: _spec, ...nothing } = widget({});
        const { object: withdrawn } = serverSideApply({
          ...REQUEST,
          live: outcome.object,
          applied: nothing,
          manager: 'me',
        }) as {
          object: JsonObject;
        };
        assert.equal(owned(withdrawn, 'me'), undefined);
        assert.deepEqual(owned(withdrawn, 'other'), owned(before, 'other'));
        assert.deepEqual(apply(withdrawn, 'other', theirs)['spec'], withdrawn['spec']);
      }),
    );
  });

  it('does not depend on the order in which managers of different fields apply', () => {
    assertProperty(
      fc.property(disjoint, ([left, right]) => {
        const one = apply(apply(undefined, 'l', left), 'r', right);
        const other = apply(apply(undefined, 'r', right), 'l', left);
        assert.deepEqual(one, other);
      }),
    );
  });
});

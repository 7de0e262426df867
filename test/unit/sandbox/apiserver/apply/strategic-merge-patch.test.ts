import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  MalformedPatchError,
  strategicMergePatch,
} from '../../../../../src/sandbox/apiserver/apply/strategic-merge-patch.ts';
import { builtinSchema } from '../../../../../src/sandbox/apiserver/schema/builtin-schemas.ts';
import type { JsonObject } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';

interface Case {
  name: string;
  kind: 'Pod' | 'Service' | 'Node';
  object: JsonObject;
  patch: JsonObject;
  result: JsonObject;
}

const CASES: Case[] = [
  {
    name: 'merges list items by their merge key',
    kind: 'Service',
    object: { spec: { ports: [{ port: 80, name: 'a', nodePort: 3 }, { port: 81 }] } },
    patch: { spec: { ports: [{ port: 80, name: 'b' }, { port: 82 }] } },
    result: { spec: { ports: [{ port: 80, name: 'b', nodePort: 3 }, { port: 81 }, { port: 82 }] } },
  },
  {
    name: 'deletes an item',
    kind: 'Service',
    object: { spec: { ports: [{ port: 80 }, { port: 81 }] } },
    patch: { spec: { ports: [{ port: 80, $patch: 'delete' }] } },
    result: { spec: { ports: [{ port: 81 }] } },
  },
  {
    name: 'replaces a list that has no merge key',
    kind: 'Service',
    object: { spec: { externalIPs: ['1.1.1.1', '2.2.2.2'] } },
    patch: { spec: { externalIPs: ['3.3.3.3'] } },
    result: { spec: { externalIPs: ['3.3.3.3'] } },
  },
  {
    name: 'replaces a whole keyed list on request',
    kind: 'Pod',
    object: { spec: { containers: [{ name: 'a' }, { name: 'b' }] } },
    patch: { spec: { containers: [{ name: 'c' }, { $patch: 'replace' }] } },
    result: { spec: { containers: [{ name: 'c' }] } },
  },
  {
    name: 'replaces a struct on request',
    kind: 'Service',
    object: { metadata: { labels: { a: '1', b: '2' } } },
    patch: { metadata: { labels: { c: '3', $patch: 'replace' } } },
    result: { metadata: { labels: { c: '3' } } },
  },
  {
    name: 'orders a list as asked, leaving strangers where they are',
    kind: 'Pod',
    object: { spec: { containers: [{ name: 'a' }, { name: 'x' }, { name: 'b' }] } },
    patch: {
      spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'a', image: 'i' }] },
    },
    result: { spec: { containers: [{ name: 'b' }, { name: 'x' }, { name: 'a', image: 'i' }] } },
  },
  {
    name: 'adds to and deletes from a list of words',
    kind: 'Node',
    object: { metadata: { finalizers: ['a', 'b'] } },
    patch: { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['b', 'c'] } },
    result: { metadata: { finalizers: ['b', 'c'] } },
  },
  {
    name: 'retains only the keys of the chosen variant',
    kind: 'Pod',
    object: { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
    patch: { spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/' } }] } },
    result: { spec: { volumes: [{ name: 'v', hostPath: { path: '/' } }] } },
  },
  {
    name: 'removes a field with null',
    kind: 'Service',
    object: { spec: { type: 'NodePort', selector: { a: '1', b: '2' } } },
    patch: { spec: { type: null, selector: { a: null } } },
    result: { spec: { selector: { b: '2' } } },
  },
  {
    name: 'merges node conditions by type, as a kubelet does',
    kind: 'Node',
    object: {
      status: {
        conditions: [
          { type: 'Ready', status: 'False', reason: 'x' },
          { type: 'Other', status: 'True' },
        ],
      },
    },
    patch: { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
    result: {
      status: {
        conditions: [
          { type: 'Ready', status: 'True', reason: 'x' },
          { type: 'Other', status: 'True' },
        ],
      },
    },
  },
];

function patched({ kind, object, patch }: Pick<Case, 'kind' | 'object' | 'patch'>): JsonObject {
  const schema = builtinSchema('v1', kind);
  assert.ok(schema);
  return strategicMergePatch(object, patch, schema);
}

describe('strategicMergePatch', () => {
  for (const testCase of CASES) {
    it(testCase.name, () => {
      const before = structuredClone(testCase);
      assert.deepEqual(patched(testCase), testCase.result);
      assert.deepEqual(testCase, before, 'the arguments changed');
    });
  }

  const malformed: { name: string; patch: JsonObject; message: RegExp }[] = [
    {
      name: 'an item without its merge key',
      patch: { spec: { ports: [{ name: 'a' }] } },
      message: /does not contain declared merge key: port/,
    },
    { name: 'an unknown directive', patch: { spec: { $patch: 'explode' } }, message: /Unknown patch type/ },
    {
      name: 'keys to retain that leave out one it sets',
      patch: { spec: { $retainKeys: ['a'], type: 'x' } },
      message: /does not list type/,
    },
  ];
  for (const { name, patch, message } of malformed) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => patched({ kind: 'Service', object: { spec: {} }, patch }),
        (error) => error instanceof MalformedPatchError && message.test(error.message),
      );
    });
  }
});

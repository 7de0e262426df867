import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { builtinSchema } from '../../../../../src/sandbox/apiserver/schema/builtin-schemas.ts';
import { compileSchema } from '../../../../../src/sandbox/apiserver/schema/compiled-schema.ts';
import type { JsonObject, JsonSchema } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';

function struct(properties: Record<string, JsonSchema>): JsonSchema {
  return { type: 'object', properties };
}

const TEXT: JsonSchema = { type: 'string' };

describe('prune', () => {
  const schema = struct({
    spec: struct({
      known: TEXT,
      list: { type: 'array', items: struct({ known: TEXT }) },
      map: { type: 'object', additionalProperties: struct({ known: TEXT }) },
      open: { ...struct({ inner: struct({ known: TEXT }) }), 'x-kubernetes-preserve-unknown-fields': true },
      template: { ...struct({ spec: struct({ known: TEXT }) }), 'x-kubernetes-embedded-resource': true },
    }),
  });
  const cases: { name: string; spec: JsonObject; pruned: string[]; left: JsonObject }[] = [
    { name: 'a field', spec: { known: 'x', other: 1 }, pruned: ['spec.other'], left: { known: 'x' } },
    {
      name: 'inside lists',
      spec: { list: [{ known: 'x' }, { other: 1 }] },
      pruned: ['spec.list[1].other'],
      left: { list: [{ known: 'x' }, {}] },
    },
    { name: 'inside maps', spec: { map: { a: { other: 1 } } }, pruned: ['spec.map.a.other'], left: { map: { a: {} } } },
    {
      name: 'open objects keep all but what is unknown in their known fields',
      spec: { open: { x: { y: 1 }, inner: { other: 1 } } },
      pruned: ['spec.open.inner.other'],
      left: { open: { x: { y: 1 }, inner: {} } },
    },
    {
      name: 'embedded resources keep their metadata',
      spec: { template: { apiVersion: 'v1', kind: 'K', metadata: { labels: {} }, spec: { other: 1 }, other: 2 } },
      pruned: ['spec.template.spec.other', 'spec.template.other'],
      left: { template: { apiVersion: 'v1', kind: 'K', metadata: { labels: {} }, spec: {} } },
    },
  ];
  for (const { name, spec, pruned, left } of cases) {
    it(name, () => {
      const object: JsonObject = {
        apiVersion: 'a/v1',
        kind: 'A',
        metadata: { name: 'n', anything: true },
        spec: structuredClone(spec),
      };
      assert.deepEqual(compileSchema(schema).prune(object), pruned);
      assert.deepEqual(object, { apiVersion: 'a/v1', kind: 'A', metadata: { name: 'n', anything: true }, spec: left });
    });
  }

  it('takes nulls of built-in kinds for absent fields', () => {
    const service = compileSchema(builtinSchema('v1', 'Service') as JsonSchema);
    const object: JsonObject = { spec: { type: null, ports: [{ port: 80, name: null }], prots: 1 } };
    assert.deepEqual(service.prune(object), ['spec.prots']);
    assert.deepEqual(object, { spec: { ports: [{ port: 80 }] } });
  });
});

describe('applyDefaults', () => {
  const schema = struct({
    scalar: { ...TEXT, default: 'd' },
    nullable: { ...TEXT, default: 'd', nullable: true },
    nested: { ...struct({ inner: { type: 'integer', default: 1 } }), default: {} },
    bare: struct({ inner: { type: 'integer', default: 1 } }),
    list: { type: 'array', items: struct({ inner: { type: 'integer', default: 1 } }) },
    map: { type: 'object', additionalProperties: struct({ inner: { type: 'integer', default: 1 } }) },
  });
  const filled = { scalar: 'd', nullable: 'd', nested: { inner: 1 } };
  const cases: { name: string; object: JsonObject; result: JsonObject }[] = [
    { name: 'absent fields', object: {}, result: filled },
    {
      name: 'what is there stays',
      object: { scalar: '', nested: { inner: 0 } },
      result: { scalar: '', nullable: 'd', nested: { inner: 0 } },
    },
    {
      name: 'null counts as absent only where it is not allowed',
      object: { scalar: null, nullable: null },
      result: { ...filled, nullable: null },
    },
    {
      name: 'below objects, lists and maps that are there',
      object: { bare: {}, list: [{}], map: { k: {} } },
      result: { ...filled, bare: { inner: 1 }, list: [{ inner: 1 }], map: { k: { inner: 1 } } },
    },
  ];
  for (const { name, object, result } of cases) {
    it(name, () => {
      compileSchema(schema).applyDefaults(object);
      assert.deepEqual(object, result);
    });
  }

  it('never shares a default between objects', () => {
    const compiled = compileSchema(schema);
    const [one, other]: JsonObject[] = [{}, {}];
    compiled.applyDefaults(one as JsonObject);
    ((one as JsonObject)['nested'] as JsonObject)['inner'] = 9;
    compiled.applyDefaults(other as JsonObject);
    assert.deepEqual((other as JsonObject)['nested'], { inner: 1 });
  });
});

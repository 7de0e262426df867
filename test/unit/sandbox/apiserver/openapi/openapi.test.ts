import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import protobuf from 'protobufjs';
import type { ResourceInfo } from '../../../../../src/sandbox/apiserver/openapi/resource-info.ts';
import { encodeOpenApiV2, openApiV2 } from '../../../../../src/sandbox/apiserver/openapi/v2.ts';
import { openApiV3, openApiV3Index } from '../../../../../src/sandbox/apiserver/openapi/v3.ts';
import { builtinSchema } from '../../../../../src/sandbox/apiserver/schema/builtin-schemas.ts';
import type { JsonObject, JsonSchema, JsonValue } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

function builtin(group: string, kind: string, plural: string): ResourceInfo {
  const schema = builtinSchema(group === '' ? 'v1' : `${group}/v1`, kind);
  assert.ok(schema, kind);
  return {
    group,
    version: 'v1',
    kind,
    plural,
    singular: kind.toLowerCase(),
    shortNames: [],
    namespaced: true,
    schema,
    subresources: { status: true },
    verbs: VERBS,
  };
}

const WIDGET_SCHEMA: JsonSchema = {
  type: 'object',
  description: 'A widget.',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      description: 'What is wanted.',
      properties: {
        mode: { type: 'string', enum: ['a', 'b'], description: 'The mode.' },
        limit: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
        gone: { type: 'string', nullable: true },
      },
    },
  },
};

const RESOURCES: ResourceInfo[] = [
  builtin('', 'Service', 'services'),
  builtin('', 'Node', 'nodes'),
  builtin('discovery.k8s.io', 'EndpointSlice', 'endpointslices'),
  builtin('apiextensions.k8s.io', 'CustomResourceDefinition', 'customresourcedefinitions'),
  {
    group: 'example.org',
    version: 'v1alpha1',
    kind: 'Widget',
    plural: 'widgets',
    singular: 'widget',
    shortNames: ['w'],
    namespaced: false,
    schema: WIDGET_SCHEMA,
    subresources: {},
    verbs: VERBS,
  },
];

/** Follows keys into a document; fails where one is missing. */
function at(document: JsonValue, ...keys: string[]): JsonValue {
  return keys.reduce<JsonValue>((value, key) => {
    const next = (value as JsonObject)[key];
    assert.notEqual(next, undefined, `${key} of ${keys.join(' ')}`);
    return next as JsonValue;
  }, document);
}

function referencesIn(value: JsonValue): string[] {
  if (Array.isArray(value)) return value.flatMap(referencesIn);
  if (typeof value !== 'object' || value === null) return [];
  const own = typeof value['$ref'] === 'string' ? [value['$ref']] : [];
  return [...own, ...Object.values(value).flatMap(referencesIn)];
}

describe('openApiV2', () => {
  const document = openApiV2(RESOURCES);

  it('resolves every reference', () => {
    const known = Object.keys(document['definitions'] as JsonObject).map((name) => `#/definitions/${name}`);
    assert.deepEqual(
      [...new Set(referencesIn(document))].filter((reference) => !known.includes(reference)),
      [],
    );
  });

  it('names definitions so that clients find kinds and merge keys', () => {
    const ports = at(document, 'definitions', 'io.k8s.api.core.v1.ServiceSpec', 'properties', 'ports');
    assert.deepEqual(
      [at(ports, 'x-kubernetes-patch-merge-key'), at(ports, 'x-kubernetes-patch-strategy')],
      ['port', 'merge'],
    );
    assert.deepEqual(at(document, 'definitions', 'io.k8s.api.core.v1.Service', 'x-kubernetes-group-version-kind'), [
      { group: '', kind: 'Service', version: 'v1' },
    ]);
    assert.equal(
      at(document, 'definitions', 'org.example.v1alpha1.WidgetList', 'properties', 'items', 'items', '$ref'),
      '#/definitions/org.example.v1alpha1.Widget',
    );
  });

  it('describes fields, and says nothing that version 2 cannot say', () => {
    const spec = at(document, 'definitions', 'org.example.v1alpha1.Widget', 'properties', 'spec');
    assert.deepEqual(spec, {
      type: 'object',
      description: 'What is wanted.',
      properties: {
        mode: { type: 'string', enum: ['a', 'b'], description: 'The mode.' },
        limit: { 'x-kubernetes-int-or-string': true },
        gone: { type: 'string' },
      },
    });
  });

  it('has the parameters that clients look for on patch', () => {
    const parameters = at(
      document,
      'paths',
      '/apis/example.org/v1alpha1/widgets/{name}',
      'patch',
      'parameters',
    ) as JsonObject[];
    const names = parameters.map(({ name }) => name);
    for (const name of ['dryRun', 'fieldManager', 'fieldValidation', 'force']) assert.ok(names.includes(name), name);
  });

  it('encodes as gnostic protobuf', () => {
    // Read with the field numbers of gnostic's schema, written down once more.
    const { root } = protobuf.parse(
      `syntax = "proto3";
       message Document { string swagger = 1; Definitions definitions = 9; }
       message Definitions { repeated Named list = 1; }
       message Named { string name = 1; Schema value = 2; }
       message Schema { string ref = 1; string description = 4; repeated string required = 19; Type type = 22; Definitions properties = 25; repeated Extension extensions = 31; }
       message Type { repeated string value = 1; }
       message Extension { string name = 1; Any value = 2; }
       message Any { string yaml = 2; }`,
    );
    interface Decoded {
      swagger: string;
      definitions: {
        list: {
          name: string;
          value: { description: string; required: string[]; extensions: { name: string; value: { yaml: string } }[] };
        }[];
      };
    }
    const decoded = root.lookupType('Document').decode(encodeOpenApiV2(document)) as unknown as Decoded;
    const widget = decoded.definitions.list.find(({ name }) => name === 'org.example.v1alpha1.Widget')?.value;
    assert.equal(decoded.swagger, '2.0');
    assert.deepEqual([widget?.description, widget?.required], ['A widget.', ['spec']]);
    assert.deepEqual(
      widget?.extensions.map(({ name, value }) => [name, value.yaml]),
      [['x-kubernetes-group-version-kind', '- group: example.org\n  kind: Widget\n  version: v1alpha1\n']],
    );
  });
});

describe('openApiV3', () => {
  it('indexes each group version under a path that changes with its content', () => {
    const hashOf = (resources: ResourceInfo[]): JsonValue =>
      at(openApiV3Index(resources), 'paths', 'apis/example.org/v1alpha1', 'serverRelativeURL');
    assert.deepEqual(Object.keys(at(openApiV3Index(RESOURCES), 'paths') as JsonObject), [
      'api/v1',
      'apis/apiextensions.k8s.io/v1',
      'apis/discovery.k8s.io/v1',
      'apis/example.org/v1alpha1',
    ]);
    const changed = RESOURCES.map((resource) =>
      resource.kind === 'Widget' ? { ...resource, schema: { ...WIDGET_SCHEMA, description: 'Other.' } } : resource,
    );
    assert.equal(hashOf(RESOURCES), hashOf([...RESOURCES]));
    assert.notEqual(hashOf(RESOURCES), hashOf(changed));
  });

  for (const groupVersion of [
    'api/v1',
    'apis/apiextensions.k8s.io/v1',
    'apis/discovery.k8s.io/v1',
    'apis/example.org/v1alpha1',
  ]) {
    it(`resolves every reference of ${groupVersion}`, () => {
      const document = openApiV3(groupVersion, RESOURCES);
      const known = Object.keys(at(document, 'components', 'schemas') as JsonObject).map(
        (name) => `#/components/schemas/${name}`,
      );
      assert.deepEqual(
        [...new Set(referencesIn(document))].filter((reference) => !known.includes(reference)),
        [],
      );
    });
  }

  it('keeps what only version 3 can say', () => {
    const document = openApiV3('apis/example.org/v1alpha1', RESOURCES);
    const properties = at(
      document,
      'components',
      'schemas',
      'org.example.v1alpha1.Widget',
      'properties',
      'spec',
      'properties',
    );
    assert.deepEqual(at(properties, 'limit'), {
      'x-kubernetes-int-or-string': true,
      anyOf: [{ type: 'integer' }, { type: 'string' }],
    });
    assert.deepEqual(at(properties, 'gone'), { type: 'string', nullable: true });
  });

  it('has the operations of status and of both scopes', () => {
    const paths = Object.keys(at(openApiV3('api/v1', RESOURCES), 'paths') as JsonObject);
    for (const path of ['/api/v1/services', '/api/v1/namespaces/{namespace}/services/{name}/status'])
      assert.ok(paths.includes(path), path);
  });
});

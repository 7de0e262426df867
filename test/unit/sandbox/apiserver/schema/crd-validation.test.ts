import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { validateCustomResourceDefinition } from '../../../../../src/sandbox/apiserver/schema/crd-validation.ts';
import type { JsonObject, JsonSchema } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';

interface Parts {
  spec?: JsonObject;
  names?: JsonObject;
  version?: JsonObject;
  property?: JsonSchema;
}

/** A definition that is right, with parts replaced. */
function definition({ spec = {}, names = {}, version = {}, property = { type: 'string' } }: Parts): JsonObject {
  const schema = { type: 'object', properties: { spec: { type: 'object', properties: { p: property } } } };
  return {
    metadata: { name: 'widgets.example.org' },
    spec: {
      group: 'example.org',
      scope: 'Cluster',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList', ...names },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, ...version }],
      ...spec,
    },
  } as unknown as JsonObject;
}

const P = 'spec.validation.openAPIV3Schema.properties[spec].properties[p]';
const LIST: JsonSchema = { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] };

const CASES: { name: string; parts: Parts; problems: string[] }[] = [
  { name: 'nothing wrong', parts: {}, problems: [] },
  {
    name: 'a name that is not plural and group',
    parts: { names: { plural: 'gadgets' } },
    problems: ['metadata.name: Invalid value: "widgets.example.org": must be spec.names.plural+"."+spec.group'],
  },
  {
    name: 'an unknown scope',
    parts: { spec: { scope: 'Galaxy' } },
    problems: ['spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"'],
  },
  {
    name: 'kind and list kind alike',
    parts: { names: { listKind: 'Widget' } },
    problems: ['spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same'],
  },
  {
    name: 'no storage version',
    parts: { version: { storage: false } },
    problems: ['spec.versions: must have exactly one version marked as storage version'],
  },
  {
    name: 'no schema',
    parts: { version: { schema: {} } },
    problems: ['spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required'],
  },
  {
    name: 'a property without a type',
    parts: { property: {} },
    problems: [`${P}.type: Required value: must not be empty for specified object fields`],
  },
  {
    name: 'an unknown type',
    parts: { property: { type: 'text' } },
    problems: [
      `${P}.type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"`,
    ],
  },
  {
    name: 'an array without items',
    parts: { property: { type: 'array' } },
    problems: [`${P}.items: Required value: must be specified`],
  },
  {
    name: 'unique items',
    parts: { property: { type: 'array', items: { type: 'string' }, uniqueItems: true } },
    problems: [
      `${P}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic`,
    ],
  },
  {
    name: 'properties beside additional properties',
    parts: { property: { type: 'object', properties: {}, additionalProperties: { type: 'string' } } },
    problems: [`${P}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`],
  },
  {
    name: 'a type inside anyOf',
    parts: { property: { type: 'string', anyOf: [{ type: 'string' }] } },
    problems: [`${P}.anyOf[0].type: Forbidden: must be empty to be structural`],
  },
  {
    name: 'types inside anyOf of an int-or-string',
    parts: { property: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] } },
    problems: [],
  },
  {
    name: 'a list type on something else',
    parts: { property: { type: 'string', 'x-kubernetes-list-type': 'set' } },
    problems: [`${P}.type: Invalid value: "string": must be array if x-kubernetes-list-type is specified`],
  },
  {
    name: 'a list key that items may lack',
    parts: { property: { ...LIST, items: { type: 'object', properties: { k: { type: 'string' } } } } },
    problems: [
      `${P}.items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
    ],
  },
  {
    name: 'a list key that is required',
    parts: { property: { ...LIST, items: { type: 'object', required: ['k'], properties: { k: { type: 'string' } } } } },
    problems: [],
  },
  {
    name: 'a list key that does not exist',
    parts: { property: { ...LIST, items: { type: 'object', properties: {} } } },
    problems: [`${P}.x-kubernetes-list-map-keys[0]: Invalid value: "k": entries must all be names of item properties`],
  },
  {
    name: 'a default of another type',
    parts: { property: { type: 'integer', default: 'x' } },
    problems: [`${P}.default: Invalid value: "string":  in body must be of type integer: "string"`],
  },
  {
    name: 'a default with an unknown field',
    parts: { property: { type: 'object', properties: {}, default: { x: 1 } } },
    problems: [`${P}.default: Invalid value: {"x":1}: must not have unspecified fields`],
  },
  {
    name: 'a rule about a field that does not exist',
    parts: { property: { type: 'object', properties: {}, 'x-kubernetes-validations': [{ rule: 'self.x == 1' }] } },
    problems: [
      `${P}.x-kubernetes-validations[0].rule: Invalid value: {"rule":"self.x == 1"}: compilation failed: ERROR: <input>:1:6: undefined field 'x'\n | self.x == 1\n | .....^`,
    ],
  },
  {
    name: 'a rule that is not a condition',
    parts: { property: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self' }] } },
    problems: [
      `${P}.x-kubernetes-validations[0].rule: Invalid value: {"rule":"self"}: cel expression must evaluate to a bool`,
    ],
  },
  {
    name: 'an empty rule',
    parts: { property: { type: 'string', 'x-kubernetes-validations': [{ rule: ' ' }] } },
    problems: [`${P}.x-kubernetes-validations[0].rule: Required value: rule is not specified`],
  },
  {
    name: 'a column of an unknown type without a path',
    parts: { version: { additionalPrinterColumns: [{ name: 'A', type: 'text' }] } },
    problems: [
      'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
      'spec.additionalPrinterColumns[0].JSONPath: Required value',
    ],
  },
  {
    name: 'a set of objects that merge',
    parts: { property: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'object' } } },
    problems: [
      `${P}.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set`,
    ],
  },
  {
    name: 'an unknown way to merge objects',
    parts: { property: { type: 'object', 'x-kubernetes-map-type': 'foo' as 'atomic' } },
    problems: [`${P}.x-kubernetes-map-type: Unsupported value: "foo": supported values: "atomic", "granular"`],
  },
  {
    name: 'a rule that is told in two lines, for a field that is not there, with a reason that is none',
    parts: {
      property: {
        type: 'object',
        'x-kubernetes-validations': [{ rule: 'true', message: 'a\nb', fieldPath: '.nowhere', reason: 'Nope' }],
      },
    },
    problems: [
      `${P}.x-kubernetes-validations[0].message: Invalid value: "a\\nb": must not contain line breaks`,
      `${P}.x-kubernetes-validations[0].reason: Unsupported value: "Nope": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"`,
      `${P}.x-kubernetes-validations[0].fieldPath: Invalid value: ".nowhere": must be a valid path`,
    ],
  },
  {
    name: 'a field to select by that is no scalar, and one that is not there',
    parts: { version: { selectableFields: [{ jsonPath: '.spec' }, { jsonPath: '.nowhere' }] } },
    problems: [
      'spec.selectableFields[0].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
      'spec.selectableFields[1].jsonPath: Invalid value: ".nowhere": is an invalid path: does not refer to a valid field',
    ],
  },
];

describe('validateCustomResourceDefinition', () => {
  for (const { name, parts, problems } of CASES) {
    it(name, () => {
      const found = validateCustomResourceDefinition(definition(parts)).map(
        ({ path, message }) => `${path}: ${message}`,
      );
      const short = found.map((text) => text.replace(/^(spec\.versions): Invalid value: \[.*\]: /, '$1: '));
      assert.deepEqual(short, problems);
    });
  }

  it('reports problems of different parts together', () => {
    const found = validateCustomResourceDefinition(
      definition({ spec: { scope: '' }, names: { kind: '' }, property: {} }),
    );
    assert.deepEqual(
      found.map(({ path }) => path),
      ['spec.scope', 'spec.names.kind', `${P}.type`],
    );
  });

  it('names the version when versions differ', () => {
    const good = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } };
    const bad = {
      name: 'v2',
      served: true,
      storage: false,
      schema: { openAPIV3Schema: { type: 'array', items: { type: 'string' } } },
    };
    const found = validateCustomResourceDefinition(definition({ spec: { versions: [good, bad] } }));
    assert.deepEqual(
      found.map(({ path }) => path),
      ['spec.versions[1].schema.openAPIV3Schema.type'],
    );
  });
});

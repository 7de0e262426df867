import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileSchema } from '../../../../../src/sandbox/apiserver/schema/compiled-schema.ts';
import type { JsonObject, JsonSchema, JsonValue } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';

interface Case {
  name: string;
  schema: JsonSchema;
  value: JsonValue;
  /** Path and message of each problem, as the real server joins them. */
  problems: string[];
}

const PORT_LIST: JsonSchema = {
  type: 'array',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['port', 'protocol'],
  items: { type: 'object', properties: { port: { type: 'integer' }, protocol: { type: 'string' } } },
};
const INT_OR_PERCENT: JsonSchema = {
  'x-kubernetes-int-or-string': true,
  anyOf: [
    { type: 'integer', minimum: 1 },
    { type: 'string', pattern: '^[0-9]+%$' },
  ],
};

const CASES: Case[] = [
  {
    name: 'wrong type',
    schema: { type: 'integer' },
    value: 'x',
    problems: ['a: Invalid value: "string": a in body must be of type integer: "string"'],
  },
  {
    name: 'float for integer',
    schema: { type: 'integer' },
    value: 1.5,
    problems: [
      'a: Invalid value: "number": a in body must be of type integer: "number"',
      '<nil>: Invalid value: "": Checked value must be of type integer (default format) in a',
    ],
  },
  {
    name: 'float where whole numbers have a format',
    schema: { type: 'integer', format: 'int64' },
    value: 1.5,
    problems: [
      'a: Invalid value: "float64": a in body must be of type int64: "float64"',
      '<nil>: Invalid value: "": Checked value must be of type integer with format int64 in a',
    ],
  },
  {
    name: 'too large for its format',
    schema: { type: 'integer', format: 'int32' },
    value: 2 ** 31,
    problems: ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in a'],
  },
  {
    name: 'too long: what else is wrong with the text is not said',
    schema: { type: 'string', maxLength: 3, pattern: '^[0-9]+$' },
    value: 'abcd',
    problems: ['a: Too long: may not be more than 3 bytes'],
  },
  {
    name: 'no object in a keyed list',
    schema: PORT_LIST,
    value: [1],
    problems: [
      'a[0]: Invalid value: "integer": a[0] in body must be of type object: "integer"',
      'a[0]: Invalid value: 1: must be an object for an array of list-type map',
    ],
  },
  {
    name: 'null',
    schema: { type: 'string' },
    value: null,
    problems: ['a: Invalid value: "null": a in body must be of type string: "null"'],
  },
  { name: 'null where it is allowed', schema: { type: 'string', nullable: true }, value: null, problems: [] },
  {
    name: 'enum',
    schema: { type: 'string', enum: ['x', 'y'] },
    value: 'z',
    problems: ['a: Unsupported value: "z": supported values: "x", "y"'],
  },
  {
    name: 'minimum',
    schema: { type: 'integer', minimum: 0 },
    value: -1,
    problems: ['a: Invalid value: -1: a in body should be greater than or equal to 0'],
  },
  {
    name: 'exclusive minimum',
    schema: { type: 'integer', minimum: 0, exclusiveMinimum: true },
    value: 0,
    problems: ['a: Invalid value: 0: a in body should be greater than 0'],
  },
  {
    name: 'maximum',
    schema: { type: 'integer', maximum: 5 },
    value: 6,
    problems: ['a: Invalid value: 6: a in body should be less than or equal to 5'],
  },
  {
    name: 'multipleOf',
    schema: { type: 'integer', multipleOf: 5 },
    value: 6,
    problems: ['a: Invalid value: 6: a in body should be a multiple of 5'],
  },
  {
    name: 'minLength',
    schema: { type: 'string', minLength: 1 },
    value: '',
    problems: ['a: Invalid value: "": a in body should be at least 1 chars long'],
  },
  {
    name: 'maxLength',
    schema: { type: 'string', maxLength: 2 },
    value: 'abc',
    problems: ['a: Too long: may not be more than 2 bytes'],
  },
  {
    name: 'pattern',
    schema: { type: 'string', pattern: '^a+$' },
    value: 'b',
    problems: ['a: Invalid value: "b": a in body should match \'^a+$\''],
  },
  {
    name: 'maxItems',
    schema: { type: 'array', items: { type: 'string' }, maxItems: 1 },
    value: ['x', 'y'],
    problems: ['a: Too many: 2: must have at most 1 item'],
  },
  {
    name: 'minItems',
    schema: { type: 'array', items: { type: 'string' }, minItems: 1 },
    value: [],
    problems: ['a: Invalid value: 0: a in body should have at least 1 items'],
  },
  {
    name: 'maxProperties',
    schema: { type: 'object', additionalProperties: { type: 'string' }, maxProperties: 1 },
    value: { x: '', y: '' },
    problems: ['a: Too many: 2: must have at most 1 item'],
  },
  {
    name: 'required, two of them',
    schema: { type: 'object', required: ['x', 'y'], properties: {} },
    value: {},
    problems: ['a.x: Required value', 'a.y: Required value'],
  },
  {
    name: 'inside a list and a map',
    schema: { type: 'array', items: { type: 'object', additionalProperties: { type: 'integer' } } },
    value: [{}, { k: 'x' }],
    problems: ['a[1].k: Invalid value: "string": a[1].k in body must be of type integer: "string"'],
  },
  {
    name: 'date-time',
    schema: { type: 'string', format: 'date-time' },
    value: 'soon',
    problems: ['a: Invalid value: "soon": a in body must be of type date-time: "soon"'],
  },
  { name: 'int-or-string, integer', schema: INT_OR_PERCENT, value: 1, problems: [] },
  { name: 'int-or-string, string', schema: INT_OR_PERCENT, value: '50%', problems: [] },
  {
    name: 'int-or-string, neither',
    schema: INT_OR_PERCENT,
    value: true,
    problems: [
      'a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"',
      'a: Invalid value: "boolean": a in body must be of type integer: "boolean"',
      '<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)',
    ],
  },
  {
    name: 'int-or-string, the closest branch is told',
    schema: INT_OR_PERCENT,
    value: 'half',
    problems: [
      'a: Invalid value: "half": a in body should match \'^[0-9]+%$\'',
      '<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)',
    ],
  },
  {
    name: 'oneOf with two matches',
    schema: {
      type: 'object',
      properties: { x: { type: 'string' }, y: { type: 'string' } },
      oneOf: [{ required: ['x'] }, { required: ['y'] }],
    },
    value: { x: '', y: '' },
    problems: [
      '<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
  },
  {
    name: 'not',
    schema: { type: 'string', not: { enum: ['x'] } },
    value: 'x',
    problems: ['<nil>: Invalid value: "": "a" must not validate the schema (not)'],
  },
  {
    name: 'a repeated item of a set',
    schema: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    value: ['x', 'y', 'x', 'x'],
    problems: ['a[2]: Duplicate value: "x"'],
  },
  {
    name: 'a repeated key of a list',
    schema: PORT_LIST,
    value: [
      { port: 1, protocol: 'TCP' },
      { port: 1, protocol: 'UDP' },
      { port: 1, protocol: 'TCP' },
    ],
    problems: ['a[2]: Duplicate value: {"port":1,"protocol":"TCP"}'],
  },
  {
    name: 'a list that may repeat',
    schema: { type: 'array', items: { type: 'string' } },
    value: ['x', 'x'],
    problems: [],
  },
  {
    name: 'an open object',
    schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    value: { anything: [1, 'two', { three: null }] },
    problems: [],
  },
];

function problemsOf(schema: JsonSchema, object: JsonObject, old?: JsonObject): string[] {
  return compileSchema(schema)
    .validate(object, old)
    .map(({ path, message }) => `${path}: ${message}`);
}

describe('value validation', () => {
  for (const { name, schema, value, problems } of CASES) {
    it(name, () => {
      const found = problemsOf({ type: 'object', properties: { a: schema } }, { a: value });
      assert.deepEqual(found.sort(), [...problems].sort());
    });
  }

  it('reports every problem at once', () => {
    const schema: JsonSchema = {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          required: ['mode'],
          properties: { mode: { type: 'string' }, n: { type: 'integer', minimum: 1 }, m: { type: 'boolean' } },
        },
      },
    };
    assert.deepEqual(
      problemsOf(schema, { spec: { n: 0, m: 'x' } }).map((text) => text.split(':')[0]),
      ['spec.mode', 'spec.n', 'spec.m'],
    );
  });
});

describe('formats', () => {
  const cases: [format: string, good: string[], bad: string[]][] = [
    ['date-time', ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.6+07:00'], ['2026-01-02', '2026-13-02T03:04:05Z', '']],
    ['date', ['2026-02-28'], ['2026-02-30', '26-02-28']],
    ['duration', ['1h30m', '500ms', '0', '-1.5h', '3 days'], ['1', 'h', '1h 30x']],
    ['ipv4', ['10.0.0.1'], ['10.0.0.256', '::1', '10.0.0']],
    ['ipv6', ['::1', 'fe80::1'], ['10.0.0.1', 'fe80::1%eth0']],
    ['cidr', ['10.0.0.0/8', 'fd00::/64', '10.1.2.3/8'], ['10.0.0.0', '10.0.0.0/33', 'x/8']],
    ['byte', ['aGk=', ''], ['a', '****']],
    ['uuid', ['123e4567-e89b-12d3-a456-426614174000'], ['123e4567']],
    ['uri', ['https://example.org/x', '/path'], ['no spaces here', 'relative/path']],
    ['email', ['a@b.org'], ['nobody']],
    ['hostname', ['a.example.org'], ['-a', 'a_b']],
    ['mac', ['00:11:22:aa:bb:cc'], ['00:11']],
    ['k8s-short-name', ['abc-1'], ['Abc', 'a.b']],
    ['never-heard-of', ['anything'], []],
  ];
  for (const [format, good, bad] of cases) {
    it(format, () => {
      const schema: JsonSchema = { type: 'object', properties: { a: { type: 'string', format } } };
      for (const a of good) assert.deepEqual(problemsOf(schema, { a }), [], a);
      for (const a of bad) assert.equal(problemsOf(schema, { a }).length, 1, a);
    });
  }
});

describe('validation of updates', () => {
  const schema: JsonSchema = {
    type: 'object',
    properties: {
      mode: { type: 'string', enum: ['new'] },
      nested: { type: 'object', required: ['x'], properties: { y: { type: 'string' } } },
      ports: {
        ...PORT_LIST,
        items: {
          type: 'object',
          properties: {
            port: { type: 'integer' },
            protocol: { type: 'string' },
            name: { type: 'string', minLength: 1 },
          },
        },
      },
    },
  };
  const cases: { name: string; old: JsonObject; object: JsonObject; paths: string[] }[] = [
    { name: 'a bad value that stays', old: { mode: 'old' }, object: { mode: 'old' }, paths: [] },
    { name: 'a bad value that changes', old: { mode: 'old' }, object: { mode: 'older' }, paths: ['mode'] },
    {
      name: 'a missing field of a struct that stays',
      old: { nested: { y: '' } },
      object: { nested: { y: '' }, mode: 'new' },
      paths: [],
    },
    {
      name: 'a missing field of a struct that changes',
      old: { nested: { y: '' } },
      object: { nested: { y: 'x' } },
      paths: ['nested.x'],
    },
    {
      name: 'items of keyed lists, which are told apart by key',
      old: { ports: [{ port: 1, name: '' }] },
      object: {
        ports: [
          { port: 2, name: '' },
          { port: 1, name: '' },
        ],
      },
      paths: ['ports[0].name'],
    },
  ];
  for (const { name, old, object, paths } of cases) {
    it(name, () => {
      assert.deepEqual(
        compileSchema(schema)
          .validate(object, old)
          .map(({ path }) => path),
        paths,
      );
    });
  }
});

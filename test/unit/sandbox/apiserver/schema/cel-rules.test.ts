import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileSchema } from '../../../../../src/sandbox/apiserver/schema/compiled-schema.ts';
import type {
  JsonObject,
  JsonSchema,
  JsonValue,
  ValidationRule,
} from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';

const SPEC: JsonSchema = {
  type: 'object',
  properties: {
    count: { type: 'integer' },
    text: { type: 'string' },
    other: { type: 'string' },
    maybe: { type: 'string', nullable: true },
    ratio: { type: 'number' },
    limit: { 'x-kubernetes-int-or-string': true },
    timeout: { type: 'string', format: 'duration' },
    at: { type: 'string', format: 'date-time' },
    words: { type: 'array', items: { type: 'string' } },
    tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    nested: {
      type: 'object',
      properties: { x: { type: 'string' }, 'a-b': { type: 'string' }, in: { type: 'string' } },
    },
    items: {
      type: 'array',
      items: { type: 'object', properties: { port: { type: 'integer' }, name: { type: 'string' } } },
    },
  },
};

function schemaWith(rule: ValidationRule): JsonSchema {
  return { type: 'object', properties: { spec: { ...SPEC, 'x-kubernetes-validations': [rule] } } };
}

function problemsOf(schema: JsonSchema, spec: JsonValue, old?: JsonValue): string[] {
  const object = (value: JsonValue): JsonObject => ({
    apiVersion: 'a/v1',
    kind: 'A',
    metadata: { name: 'n' },
    spec: value,
  });
  const problems = compileSchema(schema).validate(object(spec), old === undefined ? undefined : object(old));
  return problems.map(({ path, message }) => `${path}: ${message}`);
}

describe('rules that hold', () => {
  const cases: [rule: string, spec: JsonObject][] = [
    ['self.count > 2 && self.count < 2.5 * 2.0', { count: 3 }],
    ['has(self.text)', { text: '' }],
    ['!has(self.text)', {}],
    ['!has(self.text) || self.text.startsWith("a")', { text: 'ab' }],
    ['has(self.maybe) && self.maybe == null', { maybe: null }],
    ['type(self.limit) == int ? self.limit > 0 : self.limit.endsWith("%")', { limit: 5 }],
    ['type(self.limit) == int ? self.limit > 0 : self.limit.endsWith("%")', { limit: '5%' }],
    ['self.timeout <= duration("1h") && self.timeout.getSeconds() == 90', { timeout: '1m30s' }],
    ['self.at < timestamp("2030-01-01T00:00:00Z") && self.at.getFullYear() == 2026', { at: '2026-01-01T00:00:00Z' }],
    ['self.words.all(w, w.matches("^[a-z]+$")) && self.words.exists_one(w, w == "a")', { words: ['a', 'b'] }],
    ['self.words.filter(w, w.size() > 1).map(w, w + "!") == ["bb!"]', { words: ['a', 'bb'] }],
    ['self.tags == ["b", "a"] && "a" in self.tags', { tags: ['a', 'b'] }],
    [
      'self.labels.all(k, self.labels[k] != "") && "k" in self.labels && self.labels.size() == 1',
      { labels: { k: 'v' } },
    ],
    ['self.nested.a__dash__b == "x" && self.nested.__in__ == "y"', { nested: { 'a-b': 'x', in: 'y' } }],
    ['self.items.exists(i, i.port == 2) && self.items[0].name == "n"', { items: [{ port: 2, name: 'n' }] }],
    ['self.?nested.?x.orValue("d") == "d" && !self.?text.hasValue()', {}],
    ['int(self.text) + 1 == 5 && string(self.count) == "7" && double(self.count) > 6.5', { text: '4', count: 7 }],
    ['self.ratio == 0.5', { ratio: 0.5 }],
    [
      'self.words.map(w, int(w)).sum() == 6 && self.words.isSorted() && self.words.indexOf("2") == 1',
      { words: ['1', '2', '3'] },
    ],
    ['self.words.max() == "c" && self.words.min() == "a"', { words: ['a', 'c', 'b'] }],
    ['self.text.lowerAscii().split(",").join("-") == "a-b"', { text: 'A,B' }],
    ['self.text.find("[0-9]+") == "12" && self.text.findAll("[0-9]+") == ["12", "34"]', { text: 'a12b34' }],
    ['self.text.replace("a", "b") == "bb" && self.text.charAt(0) == "a"', { text: 'ab' }],
    ['"%s has %d".format([self.text, self.count]) == "x has 2"', { text: 'x', count: 2 }],
    ['isIP(self.text) && ip(self.text).family() == 4 && !ip(self.text).isLoopback()', { text: '10.1.2.3' }],
    [
      'isCIDR(self.text) && cidr(self.text).containsIP("10.9.9.9") && cidr(self.text).prefixLength() == 8',
      { text: '10.0.0.0/8' },
    ],
    [
      'cidr(self.text).containsCIDR("10.2.0.0/16") && string(cidr(self.text).masked()) == "10.0.0.0/8"',
      { text: '10.1.0.0/8' },
    ],
    ['quantity(self.text).isGreaterThan(quantity("500Mi")) && quantity("1.5k").asInteger() == 1500', { text: '1Gi' }],
    [
      'isURL(self.text) && url(self.text).getHostname() == "h" && url(self.text).getPort() == "80"',
      { text: 'ftp://h:80/p' },
    ],
    ['sets.contains(self.words, ["a"]) && sets.intersects(self.words, ["b", "z"])', { words: ['a', 'b'] }],
    ['cel.bind(n, self.count * 2, n == 4)', { count: 2 }],
  ];
  for (const [rule, spec] of cases) {
    it(`${rule} for ${JSON.stringify(spec)}`, () => {
      assert.deepEqual(problemsOf(schemaWith({ rule }), spec), []);
      assert.equal(problemsOf(schemaWith({ rule: `!(${rule})` }), spec).length, 1, 'the negation holds too');
    });
  }

  it('see metadata.name at the root', () => {
    const schema: JsonSchema = {
      ...schemaWith({ rule: 'true' }),
      'x-kubernetes-validations': [{ rule: 'self.metadata.name == self.spec.text' }],
    };
    assert.deepEqual(problemsOf(schema, { text: 'n' }), []);
    assert.deepEqual(problemsOf(schema, { text: 'm' }), [
      '<nil>: Invalid value: failed rule: self.metadata.name == self.spec.text',
    ]);
  });
});

describe('rules that fail', () => {
  const cases: { name: string; rule: ValidationRule; problem: string }[] = [
    {
      name: 'say the rule when there is no message',
      rule: { rule: 'self.count > 5' },
      problem: 'spec: Invalid value: failed rule: self.count > 5',
    },
    {
      name: 'say the message',
      rule: { rule: 'self.count > 5', message: 'too few' },
      problem: 'spec: Invalid value: too few',
    },
    {
      name: 'compute the message',
      rule: { rule: 'self.count > 5', messageExpression: '"have " + string(self.count)' },
      problem: 'spec: Invalid value: have 3',
    },
    {
      name: 'fall back when the message cannot be computed',
      rule: { rule: 'self.count > 5', message: 'too few', messageExpression: 'self.text' },
      problem: 'spec: Invalid value: too few',
    },
    {
      name: 'point at a field',
      rule: { rule: 'self.count > 5', message: 'm', fieldPath: '.count' },
      problem: 'spec.count: Invalid value: m',
    },
    {
      name: 'give a reason',
      rule: { rule: 'false', message: 'm', reason: 'FieldValueForbidden' },
      problem: 'spec: Forbidden: m',
    },
    {
      name: 'tell of a missing key',
      rule: { rule: 'self.text == "x"' },
      problem: 'spec: Invalid value: "object": no such key: text evaluating rule: self.text == "x"',
    },
    {
      name: 'tell of a bad index',
      rule: { rule: 'self.words[3] == "x"', message: 'm' },
      problem: 'spec: Invalid value: "object": index out of bounds: 3 evaluating rule: m',
    },
    {
      name: 'tell of a division by zero',
      rule: { rule: '1 / (self.count - 3) == 1' },
      problem: 'spec: Invalid value: "object": division by zero evaluating rule: 1 / (self.count - 3) == 1',
    },
    {
      name: 'tell of operands that do not fit',
      rule: { rule: 'self.limit + 1 == 2' },
      problem:
        'spec: Invalid value: "object": \'no such overload\': call arguments did not match a supported operator, function or macro signature for rule: self.limit + 1 == 2',
    },
  ];
  for (const { name, rule, problem } of cases) {
    it(name, () => {
      assert.deepEqual(problemsOf(schemaWith(rule), { count: 3, limit: '1', words: [] }), [problem]);
    });
  }

  it('name the value of a scalar, and items and map entries by their place', () => {
    const positive: JsonSchema = {
      type: 'integer',
      'x-kubernetes-validations': [{ rule: 'self > 0', message: 'not positive' }],
    };
    const schema: JsonSchema = {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          properties: {
            list: { type: 'array', items: positive },
            map: { type: 'object', additionalProperties: positive },
          },
        },
      },
    };
    assert.deepEqual(problemsOf(schema, { list: [1, 0], map: { k: -1 } }), [
      'spec.list[1]: Invalid value: 0: not positive',
      'spec.map[k]: Invalid value: -1: not positive',
    ]);
  });

  it('do not run on null', () => {
    const schema: JsonSchema = {
      type: 'object',
      properties: { spec: { type: 'object', nullable: true, 'x-kubernetes-validations': [{ rule: 'false' }] } },
    };
    assert.deepEqual(problemsOf(schema, null), []);
  });

  it('are not checked when the object is wrong in other ways', () => {
    assert.deepEqual(problemsOf(schemaWith({ rule: 'self.count > 5' }), { count: 'x' }), [
      'spec.count: Invalid value: "string": spec.count in body must be of type integer: "string"',
      '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
    ]);
  });
});

describe('transition rules', () => {
  const immutable: ValidationRule = { rule: 'self.text == oldSelf.text', message: 'text is immutable' };
  const optional: ValidationRule = {
    rule: 'oldSelf.hasValue() || self.text == "first"',
    message: 'must be first',
    optionalOldSelf: true,
  };
  const cases: { name: string; rule: ValidationRule; spec: JsonObject; old?: JsonObject; problems: string[] }[] = [
    { name: 'do not run on create', rule: immutable, spec: { text: 'a' }, problems: [] },
    { name: 'hold', rule: immutable, spec: { text: 'a', count: 1 }, old: { text: 'a' }, problems: [] },
    {
      name: 'fail',
      rule: immutable,
      spec: { text: 'b' },
      old: { text: 'a' },
      problems: ['spec: Invalid value: text is immutable'],
    },
    {
      name: 'run on create with an optional oldSelf',
      rule: optional,
      spec: { text: 'second' },
      problems: ['spec: Invalid value: must be first'],
    },
    {
      name: 'see an optional oldSelf on update',
      rule: optional,
      spec: { text: 'second' },
      old: { text: 'first' },
      problems: [],
    },
    {
      name: 'compare whole structs',
      rule: { rule: 'self.nested == oldSelf.nested' },
      spec: { nested: { x: 'b' } },
      old: { nested: { x: 'a' } },
      problems: ['spec: Invalid value: failed rule: self.nested == oldSelf.nested'],
    },
  ];
  for (const { name, rule, spec, old, problems } of cases) {
    it(name, () => {
      assert.deepEqual(problemsOf(schemaWith(rule), spec, old), problems);
    });
  }

  it('follow items of keyed lists, and of no other lists', () => {
    const list = (type: 'map' | 'atomic'): JsonSchema => ({
      type: 'array',
      'x-kubernetes-list-type': type,
      ...(type === 'map' ? { 'x-kubernetes-list-map-keys': ['key'] } : {}),
      items: {
        type: 'object',
        required: ['key'],
        properties: { key: { type: 'string' }, n: { type: 'integer' } },
        'x-kubernetes-validations': [{ rule: 'self.n >= oldSelf.n', message: 'n falls' }],
      },
    });
    const schema: JsonSchema = {
      type: 'object',
      properties: { spec: { type: 'object', properties: { keyed: list('map'), atomic: list('atomic') } } },
    };
    const old = {
      keyed: [
        { key: 'a', n: 2 },
        { key: 'b', n: 2 },
      ],
      atomic: [{ key: 'a', n: 2 }],
    };
    const spec = {
      keyed: [
        { key: 'b', n: 1 },
        { key: 'c', n: 0 },
        { key: 'a', n: 3 },
      ],
      atomic: [{ key: 'a', n: 1 }],
    };
    assert.deepEqual(problemsOf(schema, spec, old), ['spec.keyed[0]: Invalid value: n falls']);
  });

  it('leave other rules alone where nothing changed', () => {
    const rule: ValidationRule = { rule: 'self.count > 5' };
    assert.deepEqual(problemsOf(schemaWith(rule), { count: 1 }, { count: 1 }), []);
    assert.equal(problemsOf(schemaWith(rule), { count: 2 }, { count: 1 }).length, 1);
  });
});

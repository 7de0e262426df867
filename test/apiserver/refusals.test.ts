import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { textOf, type Call, type Json } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';
import { defineWidgets, widget, WIDGETS } from './widgets.ts';

const SKIPPED =
  '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';

interface Case {
  readonly name: string;
  readonly method: 'POST' | 'PATCH';
  readonly path: string;
  readonly call: Call;
  readonly status: number;
  /** The whole text, word by word as the code of Kubernetes 1.36 says it; none where nothing is refused. */
  readonly message?: string;
  readonly warning?: string;
}

const create = (spec: Json, query: Record<string, string> = {}): Pick<Case, 'method' | 'path' | 'call'> => ({
  method: 'POST',
  path: WIDGETS,
  call: { body: widget('refused', spec), query: { dryRun: 'All', ...query } },
});

const apply = (spec: Json, object: Json = widget('refused', spec)): Pick<Case, 'method' | 'path' | 'call'> => ({
  method: 'PATCH',
  path: `${WIDGETS}/refused`,
  call: { body: object, contentType: 'application/apply-patch+yaml', query: { dryRun: 'All', fieldManager: 'm' } },
});

const UNTYPED = 'failed to create typed patch object (/refused; example.com/v1, Kind=Widget): ';

const CASES: readonly Case[] = [
  { name: 'takes a null for nothing said', ...create({ size: null, tags: null }), status: 201 },
  {
    name: 'asks for a required field that is null',
    ...create({ color: null }),
    status: 422,
    message: `Widget.example.com "refused" is invalid: [spec.color: Required value, ${SKIPPED}]`,
  },
  {
    name: 'warns also of what it then refuses',
    ...create({ color: 'pink', colour: 'red' }, { fieldValidation: 'Warn' }),
    status: 422,
    message: `Widget.example.com "refused" is invalid: [spec.color: Unsupported value: "pink": supported values: "red", "green", "blue", ${SKIPPED}]`,
    warning: '299 - "unknown field \\"spec.colour\\""',
  },
  {
    name: 'tells a fraction from a whole number',
    ...create({ size: 1.5 }),
    status: 422,
    message: `Widget.example.com "refused" is invalid: [spec.size: Invalid value: "number": spec.size in body must be of type integer: "number", <nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.size, ${SKIPPED}]`,
  },
  {
    name: 'merges nothing of another type',
    ...apply({ color: 7 }),
    status: 500,
    message: `${UNTYPED}.spec.color: expected string, got &value.valueUnstructured{Value:7}`,
  },
  {
    name: 'merges no map for a list',
    ...apply({ tags: { a: 1 } }),
    status: 500,
    message: `${UNTYPED}.spec.tags: expected list, got &{map[a:1]}`,
  },
  {
    name: 'merges no text for a number',
    ...apply({ size: 'x' }),
    status: 500,
    message: `${UNTYPED}.spec.size: expected numeric (int or float), got string`,
  },
  {
    name: 'merges no set with the same item twice',
    ...apply({ tags: ['a', 'a'] }),
    status: 500,
    message: `${UNTYPED}.spec.tags: duplicate entries for key [="a"]`,
  },
  {
    name: 'merges no field that nobody declared',
    ...apply({ colour: 'red' }),
    status: 500,
    message: `${UNTYPED}.spec.colour: field not declared in schema`,
  },
  {
    name: 'merges nothing of another name',
    ...apply({}, widget('other')),
    status: 400,
    message: 'the name of the object (other) does not match the name on the URL (refused)',
  },
  {
    name: 'merges nothing of an unknown kind',
    ...apply({}, { metadata: { name: 'refused' } }),
    status: 400,
    message: 'invalid object type: /, Kind=',
  },
];

describeApiServer('Refusals', (server) => {
  before(() => defineWidgets(server().client));

  for (const { name, method, path, call, status, message, warning } of CASES) {
    it(name, async () => {
      const answer = await server().client.call(method, path, call);
      assert.equal(answer.status, status, answer.text);
      assert.equal(textOf(answer.body.message), message ?? '');
      assert.equal(answer.headers['warning'], warning);
    });
  }

  it('speaks of a status from the status on', async () => {
    const { client } = server();
    await client.create(WIDGETS, widget('stateful'));
    const status = { status: { observedGeneration: 'x' } };
    const answer = await client.patch(`${WIDGETS}/stateful/status`, 'merge-patch+json', status);
    assert.equal(
      textOf(answer.body.message),
      `Widget.example.com "stateful" is invalid: [status.observedGeneration: Invalid value: "string": observedGeneration in body must be of type integer: "string", ${SKIPPED}]`,
    );
  });
});

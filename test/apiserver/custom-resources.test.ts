import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { listOf, textOf, type Json } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';
import { CRDS, defineWidgets, until, WIDGET_CRD, WIDGETS, widget } from './widgets.ts';

describeApiServer('Custom resources', (server) => {
  before(() => defineWidgets(server().client));

  it('accepts the names of the definition', async () => {
    const { body } = await server().client.get(`${CRDS}/widgets.example.com`);
    const { status } = body;
    assert.deepEqual(status?.acceptedNames, {
      plural: 'widgets',
      singular: 'widget',
      kind: 'Widget',
      listKind: 'WidgetList',
      shortNames: ['wd'],
      categories: ['toys'],
    });
    assert.deepEqual(status?.storedVersions, ['v1']);
    const conditions = listOf(status?.conditions).map(({ type, status: value }) => `${textOf(type)}=${textOf(value)}`);
    assert.ok(conditions.includes('NamesAccepted=True') && conditions.includes('Established=True'));
  });

  it('fills in defaults and prunes what the schema does not know', async () => {
    const { client } = server();
    const { status, body } = await client.create(WIDGETS, widget('filled', { unknown: 1 }));
    assert.equal(status, 201);
    assert.deepEqual(body.spec, { color: 'red', size: 3, minimum: 0 });
    assert.equal(body.metadata?.generation, 1);
  });

  it('reports every problem of an object at once', async () => {
    const { client } = server();
    const answer = await client.create(WIDGETS, widget('wrong', { color: 'pink', size: -1, tags: ['a', 'a'] }));
    assert.equal(answer.status, 422);
    assert.equal(answer.body.details?.kind, 'Widget');
    assert.equal(answer.body.details?.group, 'example.com');
    const causes = listOf(answer.body.details?.causes).map(({ reason, field }) => `${textOf(field)} ${textOf(reason)}`);
    for (const expected of [
      'spec.color FieldValueNotSupported',
      'spec.size FieldValueInvalid',
      'spec.tags[1] FieldValueDuplicate',
    ]) {
      assert.ok(causes.includes(expected), `${expected} in ${causes.join(', ')}`);
    }
    assert.match(
      textOf(answer.body.message),
      /spec\.color: Unsupported value: "pink": supported values: "red", "green", "blue"/,
    );
  });

  it('runs the rules of the schema, transition rules too', async () => {
    const { client } = server();
    const small = await client.create(WIDGETS, widget('ruled', { size: 1, minimum: 2 }));
    assert.equal(small.status, 422);
    assert.match(textOf(small.body.message), /spec\.size: Invalid value: .*size must not be below minimum/);
    assert.equal((await client.create(WIDGETS, widget('ruled'))).status, 201);
    const changed = await client.patch(`${WIDGETS}/ruled`, 'merge-patch+json', { spec: { color: 'blue' } });
    assert.equal(changed.status, 422);
    assert.match(textOf(changed.body.message), /color is immutable/);
  });

  it('refuses unknown fields under Strict', async () => {
    const { client } = server();
    const body = widget('strict', { colour: 'red' });
    const created = await client.create(WIDGETS, body, { fieldValidation: 'Strict' });
    assert.equal(created.status, 400);
    assert.match(textOf(created.body.message), /strict decoding error: unknown field "spec\.colour"/);
    await client.create(WIDGETS, widget('strict'));
    const patch = { spec: { colour: 'red' } };
    const patched = await client.patch(`${WIDGETS}/strict`, 'merge-patch+json', patch, { fieldValidation: 'Strict' });
    assert.equal(patched.status, 422);
    assert.match(textOf(patched.body.message), /unknown field "spec\.colour"/);
  });

  it('keeps spec and status apart, and counts changes of spec', async () => {
    const { client } = server();
    const path = `${WIDGETS}/apart`;
    const status = { observedGeneration: 1 };
    const created = await client.create(WIDGETS, widget('apart', {}, { status }));
    assert.equal(created.body.status, undefined);

    const reported = await client.put(`${path}/status`, {
      ...(created.body as unknown as Json),
      spec: { color: 'blue' },
      status,
    });
    assert.equal(reported.status, 200);
    assert.deepEqual(reported.body.status, status);
    assert.equal(reported.body.spec?.color, 'red');
    assert.equal(reported.body.metadata?.generation, 1);

    const changed = await client.patch(path, 'merge-patch+json', {
      spec: { size: 5 },
      status: { observedGeneration: 9 },
    });
    assert.equal(changed.body.metadata?.generation, 2);
    assert.equal(changed.body.spec?.size, 5);
    assert.deepEqual(changed.body.status, status);

    const labelled = await client.patch(path, 'merge-patch+json', { metadata: { labels: { a: 'b' } } });
    assert.equal(labelled.body.metadata?.generation, 2);
  });

  it('demands a resourceVersion for a replacement', async () => {
    const { client } = server();
    await client.create(WIDGETS, widget('versioned'));
    const answer = await client.put(`${WIDGETS}/versioned`, widget('versioned', { size: 4 }));
    assert.equal(answer.status, 422);
    assert.match(
      textOf(answer.body.message),
      /metadata\.resourceVersion: Invalid value: .*must be specified for an update/,
    );
  });

  it('prints the columns of the definition', async () => {
    const { client } = server();
    await client.create(WIDGETS, widget('printed'));
    const conditions = [
      { type: 'Other', status: 'False' },
      { type: 'Ready', status: 'True' },
    ];
    await client.patch(`${WIDGETS}/printed/status`, 'merge-patch+json', { status: { conditions } });
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const { body } = await client.call('GET', `${WIDGETS}/printed`, { accept });
    assert.equal(body.kind, 'Table');
    const columns = listOf(body.columnDefinitions).map(({ name, priority }) => [name, priority]);
    assert.deepEqual(columns, [
      ['Name', 0],
      ['Color', 0],
      ['Size', 1],
      ['Ready', 0],
      ['Since', 0],
    ]);
    const cells = listOf(body.rows?.[0]?.cells);
    assert.deepEqual(cells.slice(0, 4), ['printed', 'red', 3, 'True']);
    assert.match(textOf(cells[4]), /^\d+s$/);
  });

  it('carries its own type in the items of a list', async () => {
    const { body } = await server().client.get(WIDGETS);
    assert.equal(body.kind, 'WidgetList');
    assert.ok(listOf(body.items).every(({ kind }) => textOf(kind) === 'Widget'));
  });

  it('refuses a definition with a column that does not begin like a path', async () => {
    const { client } = server();
    const definition = structuredClone(WIDGET_CRD) as { spec: { versions: { additionalPrinterColumns: Json[] }[] } };
    definition.spec.versions[0]!.additionalPrinterColumns[0]!.jsonPath = 'spec.color';
    (definition as { metadata?: Json }).metadata = { name: 'others.example.com' };
    Object.assign(definition.spec, { names: { plural: 'others', kind: 'Other' } });
    const answer = await client.create(CRDS, definition, { dryRun: 'All' });
    assert.equal(answer.status, 422, answer.text);
    assert.match(
      textOf(answer.body.message),
      /spec\.additionalPrinterColumns\[0\]\.JSONPath: Invalid value: "spec\.color": must be a simple json path/,
    );
  });

  it('stops serving a kind whose definition is deleted, objects and all', async () => {
    const { client } = server();
    assert.equal((await client.delete(`${CRDS}/widgets.example.com`)).status, 200);
    await until('the definition is gone', async () => (await client.get(`${CRDS}/widgets.example.com`)).status === 404);
    await until('widgets are not served', async () => (await client.get(WIDGETS)).status === 404);
    await defineWidgets(client);
    assert.deepEqual(listOf((await client.get(WIDGETS)).body.items), []);
  });
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { listOf, textOf, type Json } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

function configMap(name: string, extra: Json = {}): Json {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { key: 'value' }, ...extra };
}

describeApiServer('Bad input', (server) => {
  const REFUSED: { name: string; path?: string; body: Json; status: number; message: RegExp }[] = [
    { name: 'no name', body: configMap(''), status: 422, message: /name or generateName is required/ },
    {
      name: 'upper case in the name',
      body: configMap('Upper'),
      status: 422,
      message: /metadata\.name: Invalid value: "Upper"/,
    },
    {
      name: 'a label value with a space',
      body: configMap('x', { metadata: { name: 'x', labels: { a: 'b c' } } }),
      status: 422,
      message: /metadata\.labels: Invalid value: "b c"/,
    },
    {
      name: 'an annotation key with a space',
      body: configMap('x', { metadata: { name: 'x', annotations: { 'a b': '' } } }),
      status: 422,
      message: /metadata\.annotations: Invalid value: "a b"/,
    },
    {
      name: 'a data key with a slash',
      body: configMap('x', { data: { 'a/b': '' } }),
      status: 422,
      message: /data\[a\/b\]: Invalid value/,
    },
    {
      name: 'a number where a string belongs',
      body: configMap('x', { data: { a: 1 } }),
      status: 400,
      message: /cannot be handled as a ConfigMap/,
    },
    {
      name: 'another apiVersion',
      body: configMap('x', { apiVersion: 'v2' }),
      status: 400,
      message: /does not match the expected API version/,
    },
    {
      name: 'another namespace',
      body: configMap('x', { metadata: { name: 'x', namespace: 'kube-system' } }),
      status: 400,
      message: /namespace of the provided object does not match/,
    },
    {
      name: 'a namespace that does not exist',
      path: '/api/v1/namespaces/nowhere/configmaps',
      body: configMap('x'),
      status: 404,
      message: /namespaces "nowhere" not found/,
    },
    {
      name: 'a kind that does not exist',
      path: '/api/v1/namespaces/default/things',
      body: configMap('x'),
      status: 404,
      message: /could not find the requested resource/,
    },
  ];
  for (const { name, path = CONFIG_MAPS, body, status, message } of REFUSED) {
    it(`refuses to create an object with ${name}`, async () => {
      const answer = await server().client.create(path, body);
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.body.kind, 'Status');
      assert.match(textOf(answer.body.message), message);
    });
  }

  it('names every problem of an object with its field', async () => {
    const metadata = { name: 'Bad_Name', labels: { 'a b': 'c' } };
    const answer = await server().client.create(CONFIG_MAPS, configMap('', { metadata }));
    assert.equal(answer.status, 422);
    const causes = listOf(answer.body.details?.causes).map(({ reason, field }) => ({ reason, field }));
    assert.deepEqual(causes, [
      { reason: 'FieldValueInvalid', field: 'metadata.name' },
      { reason: 'FieldValueInvalid', field: 'metadata.labels' },
    ]);
  });

  it('refuses, warns about or passes over unknown fields as asked', async () => {
    const { client } = server();
    const body = configMap('unknown', { surprise: true });
    const strict = await client.create(CONFIG_MAPS, body, { fieldValidation: 'Strict' });
    assert.equal(strict.status, 400);
    assert.match(textOf(strict.body.message), /strict decoding error: unknown field "surprise"/);
    const warned = await client.create(CONFIG_MAPS, body, { fieldValidation: 'Warn', dryRun: 'All' });
    assert.equal(warned.headers.warning, '299 - "unknown field \\"surprise\\""');
    const ignored = await client.create(CONFIG_MAPS, body, { fieldValidation: 'Ignore' });
    assert.equal(ignored.status, 201);
    assert.equal(ignored.headers.warning, undefined);
    assert.equal(ignored.body.surprise, undefined);
  });
});

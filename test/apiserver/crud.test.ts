import assert from 'node:assert/strict';
import { it } from 'node:test';
import { listOf, textOf, type Json } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

function configMap(name: string, extra: Json = {}): Json {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { key: 'value' }, ...extra };
}

describeApiServer('CRUD', (server) => {
  it('creates, reads, replaces and deletes an object', async () => {
    const { client } = server();
    const created = await client.create(CONFIG_MAPS, configMap('life'));
    assert.equal(created.status, 201);
    const { metadata } = created.body;
    assert.match(textOf(metadata?.uid), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.match(textOf(metadata?.creationTimestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.equal(metadata?.namespace, 'default');

    const read = await client.get(`${CONFIG_MAPS}/life`);
    assert.equal(read.status, 200);
    assert.deepEqual(read.body, created.body);

    const replaced = await client.put(`${CONFIG_MAPS}/life`, configMap('life', { data: { key: 'other' } }));
    assert.equal(replaced.status, 200);
    assert.equal(replaced.body.metadata?.uid, metadata?.uid);
    assert.equal(replaced.body.metadata?.creationTimestamp, metadata?.creationTimestamp);
    assert.notEqual(replaced.body.metadata?.resourceVersion, metadata?.resourceVersion);

    const deleted = await client.delete(`${CONFIG_MAPS}/life`);
    assert.equal(deleted.status, 200);
    assert.equal(deleted.body.kind, 'Status');
    assert.equal(deleted.body.status, 'Success');
    assert.deepEqual(deleted.body.details, { name: 'life', kind: 'configmaps', uid: metadata?.uid });
    const gone = await client.get(`${CONFIG_MAPS}/life`);
    assert.equal(gone.status, 404);
    assert.equal(gone.body.reason, 'NotFound');
    assert.equal(gone.body.message, 'configmaps "life" not found');
    assert.deepEqual(gone.body.details, { name: 'life', kind: 'configmaps' });
  });

  it('refuses a name that is taken with AlreadyExists', async () => {
    const { client } = server();
    await client.create(CONFIG_MAPS, configMap('taken'));
    const again = await client.create(CONFIG_MAPS, configMap('taken'));
    assert.equal(again.status, 409);
    assert.equal(again.body.reason, 'AlreadyExists');
    assert.equal(again.body.message, 'configmaps "taken" already exists');
  });

  it('refuses a stale resourceVersion with Conflict', async () => {
    const { client } = server();
    const { body } = await client.create(CONFIG_MAPS, configMap('stale'));
    await client.put(`${CONFIG_MAPS}/stale`, configMap('stale', { data: { key: 'newer' } }));
    const metadata = { name: 'stale', resourceVersion: body.metadata?.resourceVersion };
    const late = await client.put(`${CONFIG_MAPS}/stale`, configMap('stale', { metadata }));
    assert.equal(late.status, 409);
    assert.equal(late.body.reason, 'Conflict');
    assert.match(
      textOf(late.body.message),
      /the object has been modified; please apply your changes to the latest version/,
    );
  });

  it('keeps the resourceVersion when an update changes nothing', async () => {
    const { client } = server();
    const { body } = await client.create(CONFIG_MAPS, configMap('same'));
    const again = await client.put(`${CONFIG_MAPS}/same`, configMap('same'));
    assert.equal(again.body.metadata?.resourceVersion, body.metadata?.resourceVersion);
  });

  it('makes up a name from generateName', async () => {
    const { client } = server();
    const made = await client.create(CONFIG_MAPS, { metadata: { generateName: 'made-' } });
    assert.equal(made.status, 201);
    assert.match(textOf(made.body.metadata?.name), /^made-[a-z0-9]{5}$/);
  });

  it('stores nothing with dryRun=All', async () => {
    const { client } = server();
    const tried = await client.create(CONFIG_MAPS, configMap('tried'), { dryRun: 'All' });
    assert.equal(tried.status, 201);
    assert.equal((await client.get(`${CONFIG_MAPS}/tried`)).status, 404);
    await client.create(CONFIG_MAPS, configMap('tried'));
    await client.put(`${CONFIG_MAPS}/tried`, configMap('tried', { data: { key: 'no' } }), { dryRun: 'All' });
    await client.call('DELETE', `${CONFIG_MAPS}/tried`, { query: { dryRun: 'All' } });
    assert.equal((await client.get(`${CONFIG_MAPS}/tried`)).body.data?.key, 'value');
  });

  it('keeps a deleted object until its finalizers are gone', async () => {
    const { client } = server();
    const metadata = { name: 'held', finalizers: ['example.com/hold'] };
    await client.create(CONFIG_MAPS, configMap('held', { metadata }));
    const deleted = await client.delete(`${CONFIG_MAPS}/held`);
    assert.equal(deleted.status, 200);
    assert.equal(deleted.body.kind, 'ConfigMap');
    assert.notEqual(deleted.body.metadata?.deletionTimestamp, undefined);
    const added = { metadata: { finalizers: ['example.com/hold', 'example.com/more'] } };
    const refused = await client.patch(`${CONFIG_MAPS}/held`, 'merge-patch+json', added);
    assert.equal(refused.status, 422);
    const released = await client.patch(`${CONFIG_MAPS}/held`, 'merge-patch+json', { metadata: { finalizers: null } });
    assert.equal(released.status, 200);
    assert.equal((await client.get(`${CONFIG_MAPS}/held`)).status, 404);
  });

  it('checks the preconditions of a deletion', async () => {
    const { client } = server();
    const { body } = await client.create(CONFIG_MAPS, configMap('guarded'));
    const uid = textOf(body.metadata?.uid);
    const wrong = await client.delete(`${CONFIG_MAPS}/guarded`, { preconditions: { uid: 'other' } });
    assert.equal(wrong.status, 409);
    const stale = await client.delete(`${CONFIG_MAPS}/guarded`, { preconditions: { uid, resourceVersion: '1' } });
    assert.equal(stale.status, 409);
    const right = await client.delete(`${CONFIG_MAPS}/guarded`, { preconditions: { uid } });
    assert.equal(right.status, 200);
  });

  it('deletes a selection of a collection', async () => {
    const { client } = server();
    for (const name of ['drop-1', 'drop-2', 'keep']) {
      const labels = { set: name === 'keep' ? 'keep' : 'drop' };
      await client.create(CONFIG_MAPS, configMap(name, { metadata: { name, labels } }));
    }
    const answer = await client.call('DELETE', CONFIG_MAPS, { query: { labelSelector: 'set=drop' } });
    assert.equal(answer.status, 200);
    const left = await client.get(CONFIG_MAPS, { labelSelector: 'set' });
    assert.deepEqual(
      listOf(left.body.items).map(({ metadata }) => metadata?.name),
      ['keep'],
    );
  });

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

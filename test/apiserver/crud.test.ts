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
});

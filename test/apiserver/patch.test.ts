import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { listOf, textOf, type Answer, type Json, type Wire } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';
import { defineWidgets, WIDGETS, widget } from './widgets.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const SERVICES = '/api/v1/namespaces/default/services';

describeApiServer('Patch', (server) => {
  before(() => defineWidgets(server().client));

  function apply(path: string, body: unknown, query: Record<string, string> = {}): Promise<Answer> {
    return server().client.patch(path, 'apply-patch+yaml', body, { fieldManager: 'one', ...query });
  }

  it('merges a JSON merge patch, null removes', async () => {
    const { client } = server();
    await client.create(CONFIG_MAPS, { metadata: { name: 'merge' }, data: { a: '1', b: '2' } });
    const { status, body } = await client.patch(`${CONFIG_MAPS}/merge`, 'merge-patch+json', {
      data: { a: null, c: '3' },
    });
    assert.equal(status, 200);
    assert.deepEqual(body.data, { b: '2', c: '3' });
  });

  it('runs a JSON patch, all of it or nothing', async () => {
    const { client } = server();
    await client.create(CONFIG_MAPS, { metadata: { name: 'json' }, data: { a: '1' } });
    const path = `${CONFIG_MAPS}/json`;
    const good = [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'replace', path: '/data/a', value: '2' },
      { op: 'add', path: '/data/b', value: '3' },
    ];
    assert.deepEqual((await client.patch(path, 'json-patch+json', good)).body.data, { a: '2', b: '3' });
    const bad = [
      { op: 'replace', path: '/data/b', value: '4' },
      { op: 'test', path: '/data/a', value: 'other' },
    ];
    const refused = await client.patch(path, 'json-patch+json', bad);
    assert.equal(refused.status, 422);
    assert.equal(refused.body.reason, 'Invalid');
    assert.deepEqual((await client.get(path)).body.data, { a: '2', b: '3' });
  });

  it('merges lists of a built-in kind by their keys in a strategic merge patch', async () => {
    const { client } = server();
    const ports = [{ name: 'web', port: 80 }];
    await client.create(SERVICES, { metadata: { name: 'strategic' }, spec: { ports } });
    const patch = { spec: { ports: [{ port: 443, name: 'tls' }] } };
    const { status, body } = await client.patch(`${SERVICES}/strategic`, 'strategic-merge-patch+json', patch);
    assert.equal(status, 200);
    const numbers = listOf(body.spec?.ports).map(({ port }): Wire | undefined => port);
    assert.deepEqual([...numbers].sort(), [443, 80]);
  });

  it('refuses a strategic merge patch of a custom resource', async () => {
    const { client } = server();
    await client.create(WIDGETS, widget('unsupported'));
    const answer = await client.patch(`${WIDGETS}/unsupported`, 'strategic-merge-patch+json', { spec: { size: 1 } });
    assert.equal(answer.status, 415);
    assert.equal(answer.body.reason, 'UnsupportedMediaType');
  });

  it('locks optimistically when the patch names a resourceVersion', async () => {
    const { client } = server();
    await client.create(CONFIG_MAPS, { metadata: { name: 'locked' } });
    const answer = await client.patch(`${CONFIG_MAPS}/locked`, 'merge-patch+json', {
      metadata: { resourceVersion: '1' },
    });
    assert.equal(answer.status, 409);
    assert.equal(answer.body.reason, 'Conflict');
  });

  it('refuses a patch that changes the name', async () => {
    const { client } = server();
    await client.create(CONFIG_MAPS, { metadata: { name: 'named' } });
    const answer = await client.patch(`${CONFIG_MAPS}/named`, 'merge-patch+json', { metadata: { name: 'renamed' } });
    assert.ok([400, 422].includes(answer.status), answer.text);
  });

  it('answers 404 for an object that does not exist', async () => {
    const answer = await server().client.patch(`${CONFIG_MAPS}/missing`, 'merge-patch+json', {});
    assert.equal(answer.status, 404);
  });

  it('creates by server-side apply, removes what its manager no longer applies', async () => {
    const path = `${WIDGETS}/applied`;
    const created = await apply(path, widget('applied', { size: 4, tags: ['a'] }));
    assert.equal(created.status, 201, created.text);
    const entry = listOf(created.body.metadata?.managedFields)[0];
    assert.equal(entry?.manager, 'one');
    assert.equal(entry?.operation, 'Apply');
    const again = await apply(path, widget('applied', { size: 4 }));
    assert.equal(again.status, 200);
    assert.deepEqual(again.body.spec, { color: 'red', size: 4, minimum: 0 });
  });

  it('names the conflicting manager and field, and gives way to force', async () => {
    const path = `${WIDGETS}/contested`;
    await apply(path, widget('contested', { size: 4 }));
    const conflict = await apply(path, widget('contested', { size: 5 }), { fieldManager: 'two' });
    assert.equal(conflict.status, 409);
    assert.equal(conflict.body.reason, 'Conflict');
    assert.match(textOf(conflict.body.message), /^Apply failed with 1 conflict: conflict with "one": \.spec\.size$/);
    const [cause] = listOf(conflict.body.details?.causes);
    assert.equal(cause?.reason, 'FieldManagerConflict');
    assert.equal(cause?.field, '.spec.size');
    const forced = await apply(path, widget('contested', { size: 5 }), { fieldManager: 'two', force: 'true' });
    assert.equal(forced.status, 200);
    assert.equal(forced.body.spec?.size, 5);
  });

  it('applies the status through its subresource', async () => {
    const { client } = server();
    await client.create(WIDGETS, widget('status-applied'));
    const body = {
      apiVersion: 'example.com/v1',
      kind: 'Widget',
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    };
    const answer = await apply(`${WIDGETS}/status-applied/status`, body);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.body.status?.conditions, [{ type: 'Ready', status: 'True' }]);
    const entry = listOf(answer.body.metadata?.managedFields).find(({ manager }) => textOf(manager) === 'one');
    assert.equal(entry?.subresource, 'status');
  });

  it('refuses an apply without a field manager', async () => {
    const { client } = server();
    const answer = await client.patch(`${WIDGETS}/nobody`, 'apply-patch+yaml', widget('nobody'));
    assert.equal(answer.status, 422);
    assert.match(textOf(answer.body.message), /fieldManager: Required value/);
  });

  it('refuses force for any other patch', async () => {
    const { client } = server();
    await client.create(CONFIG_MAPS, { metadata: { name: 'forced' } });
    const answer = await client.patch(`${CONFIG_MAPS}/forced`, 'merge-patch+json', {}, { force: 'true' });
    assert.equal(answer.status, 422);
    assert.match(textOf(answer.body.message), /force: Forbidden/);
  });

  it('an apply that says nothing of its labels any more takes away those, and nothing else of the metadata', async () => {
    const { client } = server();
    const apply = (metadata: Json): Promise<Answer> =>
      client.patch(`${WIDGETS}/unlabelled`, 'apply-patch+yaml', widget('unlabelled', {}, { metadata }), {
        fieldManager: 'm',
      });
    const first = await apply({ name: 'unlabelled', labels: { a: 'b' }, annotations: { c: 'd' } });
    assert.equal(first.status, 201, first.text);
    const second = await apply({ name: 'unlabelled' });
    assert.equal(second.status, 200, second.text);
    assert.equal(second.body.metadata?.labels, undefined);
    assert.equal(textOf(second.body.metadata?.uid), textOf(first.body.metadata?.uid));
  });
});

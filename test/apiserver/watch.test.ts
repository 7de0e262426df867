import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { listOf, textOf, type ApiClient, type Watching, type Wire } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';

const PATH = '/api/v1/namespaces/kube-node-lease/configmaps';

async function open(test: TestContext, client: ApiClient, query: Record<string, string>): Promise<Watching> {
  const watching = await client.watch(PATH, query);
  test.after(() => watching.close());
  assert.equal(watching.status, 200);
  return watching;
}

function summary(event: Wire | undefined): string {
  return `${textOf(event?.type)} ${textOf(event?.object?.metadata?.name)}`;
}

async function revision(client: ApiClient): Promise<string> {
  return textOf((await client.get(PATH)).body.metadata?.resourceVersion);
}

describeApiServer('Watch', (server) => {
  it('sends every change after a resourceVersion, in order', async (test) => {
    const { client } = server();
    const resourceVersion = await revision(client);
    await client.create(PATH, { metadata: { name: 'w1' } });
    const watching = await open(test, client, { resourceVersion, fieldSelector: 'metadata.name=w1' });
    await client.patch(`${PATH}/w1`, 'merge-patch+json', { data: { a: 'b' } });
    await client.delete(`${PATH}/w1`);
    const events = [await watching.next(), await watching.next(), await watching.next()];
    assert.deepEqual(events.map(summary), ['ADDED w1', 'MODIFIED w1', 'DELETED w1']);
    const revisions = events.map((event) => Number(textOf(event?.object?.metadata?.resourceVersion)));
    assert.ok(revisions[0]! < revisions[1]! && revisions[1]! < revisions[2]!, 'revisions rise');
    assert.equal(events[0]?.object?.kind, 'ConfigMap');
  });

  it('starts with the present state when no resourceVersion is given', async (test) => {
    const { client } = server();
    await client.create(PATH, { metadata: { name: 'w2' } });
    for (const query of [{}, { resourceVersion: '0' }]) {
      const watching = await open(test, client, { ...query, fieldSelector: 'metadata.name=w2' });
      assert.equal(summary(await watching.next()), 'ADDED w2');
    }
  });

  it('shows an object that starts or stops matching the selector as added or deleted', async (test) => {
    const { client } = server();
    const resourceVersion = await revision(client);
    const watching = await open(test, client, { resourceVersion, labelSelector: 'seen=yes' });
    await client.create(PATH, { metadata: { name: 'w3' } });
    await client.patch(`${PATH}/w3`, 'merge-patch+json', { metadata: { labels: { seen: 'yes' } } });
    await client.patch(`${PATH}/w3`, 'merge-patch+json', { data: { a: 'b' } });
    const hidden = await client.patch(`${PATH}/w3`, 'merge-patch+json', { metadata: { labels: { seen: 'no' } } });
    await client.delete(`${PATH}/w3`);
    assert.equal(summary(await watching.next()), 'ADDED w3');
    assert.equal(summary(await watching.next()), 'MODIFIED w3');
    const last = await watching.next();
    assert.equal(summary(last), 'DELETED w3');
    assert.equal(last?.object?.metadata?.labels?.seen, 'yes', 'as it was when it last matched');
    assert.equal(last?.object?.metadata?.resourceVersion, hidden.body.metadata?.resourceVersion);
  });

  it('ends the initial events with a bookmark when asked to', async (test) => {
    const { client } = server();
    await client.create(PATH, { metadata: { name: 'w4' } });
    const watching = await open(test, client, {
      fieldSelector: 'metadata.name=w4',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
    });
    assert.equal(summary(await watching.next()), 'ADDED w4');
    const end = await watching.next();
    assert.equal(end?.type, 'BOOKMARK');
    assert.equal(end?.object?.kind, 'ConfigMap');
    assert.equal(end?.object?.metadata?.annotations?.['k8s.io/initial-events-end'], 'true');
    assert.match(textOf(end?.object?.metadata?.resourceVersion), /^\d+$/);
    await client.delete(`${PATH}/w4`);
    assert.equal(summary(await watching.next()), 'DELETED w4');
  });

  it('ends after timeoutSeconds', async (test) => {
    const { client } = server();
    const query = { timeoutSeconds: '1', fieldSelector: 'metadata.name=none' };
    const watching = await open(test, client, { ...query, resourceVersion: await revision(client) });
    assert.equal(await watching.next(), undefined);
  });

  it('ends with an Expired error when its start is no longer known', async (test) => {
    const { client, compact } = server();
    if (!compact) {
      test.skip('this test cannot make the server forget its history');
      return;
    }
    const resourceVersion = await revision(client);
    await client.create(PATH, { metadata: { name: 'w5' } });
    compact();
    const watching = await open(test, client, { resourceVersion });
    const event = await watching.next();
    assert.equal(event?.type, 'ERROR');
    assert.equal(event?.object?.kind, 'Status');
    assert.equal(event?.object?.code, 410);
    assert.equal(event?.object?.reason, 'Expired');
    assert.match(textOf(event?.object?.message), /^too old resource version: \d+ \(\d+\)$/);
    assert.equal(await watching.next(), undefined);
  });

  it('follows one object through its own path', async (test) => {
    const { client } = server();
    await client.create(PATH, { metadata: { name: 'w6' } });
    const watching = await client.watch(`${PATH}/w6`);
    test.after(() => watching.close());
    assert.equal(summary(await watching.next()), 'ADDED w6');
  });

  it('sends tables when asked for them', async (test) => {
    const { client } = server();
    await client.create(PATH, { metadata: { name: 'w7' }, data: { a: 'b' } });
    const query = { fieldSelector: 'metadata.name=w7' };
    const watching = await client.watch(PATH, query, 'application/json;as=Table;v=v1;g=meta.k8s.io');
    test.after(() => watching.close());
    const event = await watching.next();
    const { kind, rows } = event?.object ?? {};
    assert.equal(kind, 'Table');
    const row = listOf(rows)[0];
    assert.deepEqual(row?.cells?.[0], 'w7');
    assert.equal(row?.object?.kind, 'PartialObjectMetadata');
  });

  it('refuses initial events without a match rule', async () => {
    const answer = await server().client.get(PATH, { watch: 'true', sendInitialEvents: 'true' });
    assert.equal(answer.status, 422);
    assert.match(textOf(answer.body.message), /requires setting resourceVersionMatch to NotOlderThan/);
  });
});

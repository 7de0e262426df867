import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { listOf, textOf } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';
import { defineWidgets, until, WIDGETS, widget } from './widgets.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

describeApiServer('Protocol', (server) => {
  before(() => defineWidgets(server().client));

  for (const path of ['/healthz', '/livez', '/readyz']) {
    it(`says ok at ${path}`, async () => {
      const { status, text } = await server().client.get(path);
      assert.equal(status, 200);
      assert.equal(text, 'ok');
    });
  }

  it('tells its version, to anybody', async () => {
    const { status, body } = await server().client.call('GET', '/version', { token: '' });
    assert.equal(status, 200);
    assert.equal(body.major, '1');
    assert.match(textOf(body.gitVersion), /^v1\.\d+/);
  });

  it('lets nobody in without a token or with a wrong one', async () => {
    const { client } = server();
    const none = await client.call('GET', CONFIG_MAPS, { token: '' });
    assert.ok([401, 403].includes(none.status), 'a server may also refuse the anonymous user by its rules');
    const wrong = await client.call('GET', CONFIG_MAPS, { token: 'wrong' });
    assert.equal(wrong.status, 401);
    assert.equal(wrong.body.reason, 'Unauthorized');
  });

  it('says who the caller is and what it may do', async () => {
    const { client } = server();
    const who = await client.create('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    });
    assert.equal(who.status, 201, who.text);
    assert.ok(listOf(who.body.status?.userInfo?.groups).map(textOf).includes('system:masters'));
    const may = await client.create('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: 'list', resource: 'nodes' } },
    });
    assert.equal(may.body.status?.allowed, true);
  });

  it('describes its resources group by group', async () => {
    const { client } = server();
    assert.deepEqual((await client.get('/api')).body.versions, ['v1']);
    const groups = listOf((await client.get('/apis')).body.groups);
    const group = groups.find(({ name }) => textOf(name) === 'example.com');
    assert.equal(group?.preferredVersion?.groupVersion, 'example.com/v1');
    const { body } = await client.get('/apis/example.com/v1');
    assert.equal(body.kind, 'APIResourceList');
    const [main, status] = listOf(body.resources);
    assert.equal(main?.name, 'widgets');
    assert.equal(main?.kind, 'Widget');
    assert.equal(main?.namespaced, true);
    assert.deepEqual(main?.shortNames, ['wd']);
    assert.deepEqual(main?.categories, ['toys']);
    assert.deepEqual(listOf(main?.verbs).map(textOf).sort(), [
      'create',
      'delete',
      'deletecollection',
      'get',
      'list',
      'patch',
      'update',
      'watch',
    ]);
    assert.equal(status?.name, 'widgets/status');
  });

  it('describes all groups in one document when asked to', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
    const { headers, body } = await server().client.call('GET', '/apis', { accept });
    assert.match(String(headers['content-type']), /as=APIGroupDiscoveryList/);
    const group = listOf(body.items).find(({ metadata }) => textOf(metadata?.name) === 'example.com');
    const resource = group?.versions?.[0]?.resources?.[0];
    assert.equal(resource?.resource, 'widgets');
    assert.equal(resource?.scope, 'Namespaced');
    assert.equal(resource?.subresources?.[0]?.subresource, 'status');
  });

  it('publishes OpenAPI for its kinds', async () => {
    const { client } = server();
    // A real server adds a new kind to its documents a moment after it serves it.
    await until('widgets are published', async () => {
      const { body } = await client.get('/openapi/v3');
      return body.paths?.['apis/example.com/v1'] !== undefined;
    });
    const index = await client.get('/openapi/v3');
    const entry = index.body.paths?.['apis/example.com/v1']?.serverRelativeURL;
    const url = new URL(textOf(entry), server().url);
    const { body } = await client.get(url.pathname, Object.fromEntries(url.searchParams));
    assert.match(textOf(body.openapi), /^3\.0/);
    assert.ok(Object.keys(body.paths ?? {}).includes('/apis/example.com/v1/namespaces/{namespace}/widgets/{name}'));
    const v2 = await client.get('/openapi/v2');
    assert.equal(v2.body.swagger, '2.0');
  });

  it('reduces objects and lists to their metadata when asked to', async () => {
    const { client } = server();
    await client.create(WIDGETS, widget('reduced'));
    const one = await client.call('GET', `${WIDGETS}/reduced`, {
      accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
    });
    assert.equal(one.body.kind, 'PartialObjectMetadata');
    assert.equal(one.body.spec, undefined);
    const all = await client.call('GET', WIDGETS, {
      accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
    });
    assert.equal(all.body.kind, 'PartialObjectMetadataList');
    assert.equal(all.body.items?.[0]?.metadata?.name, 'reduced');
  });

  it('prints tables in the older version too, with or without the objects', async () => {
    const { client } = server();
    const accept = 'application/json;as=Table;v=v1beta1;g=meta.k8s.io';
    const none = await client.call('GET', CONFIG_MAPS, { accept, query: { includeObject: 'None' } });
    assert.equal(none.body.apiVersion, 'meta.k8s.io/v1beta1');
    const names = listOf(none.body.columnDefinitions).map(({ name }) => textOf(name));
    assert.deepEqual(names, ['Name', 'Data', 'Age']);
  });

  it('refuses formats that it does not speak', async () => {
    const { client } = server();
    const body = '<configmap/>';
    const xml = await client.call('POST', CONFIG_MAPS, { body, contentType: 'application/xml' });
    assert.equal(xml.status, 415);
    assert.equal(xml.body.reason, 'UnsupportedMediaType');
    assert.equal((await client.call('GET', CONFIG_MAPS, { accept: 'text/csv' })).status, 406);
  });

  it('reads YAML', async () => {
    const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {a: b}\n';
    const answer = await server().client.call('POST', CONFIG_MAPS, { body, contentType: 'application/yaml' });
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.body.data?.a, 'b');
  });

  it('writes YAML', async () => {
    const answer = await server().client.call('GET', '/api/v1/namespaces/default', { accept: 'application/yaml' });
    assert.match(String(answer.headers['content-type']), /^application\/yaml/);
    assert.match(answer.text, /^kind: Namespace$/m);
  });

  it('answers JSON where protobuf is only preferred', async () => {
    const accept = 'application/vnd.kubernetes.protobuf;q=0.1,application/json';
    const answer = await server().client.call('GET', CONFIG_MAPS, { accept });
    assert.match(String(answer.headers['content-type']), /^application\/json/);
  });

  it('refuses a method that a path does not have', async () => {
    const answer = await server().client.call('PUT', CONFIG_MAPS, { body: {} });
    assert.equal(answer.status, 405);
    assert.equal(answer.body.reason, 'MethodNotAllowed');
  });

  it('answers 404 for a path that means nothing', async () => {
    assert.equal((await server().client.get('/apis/nowhere.example.com/v1')).status, 404);
  });
});

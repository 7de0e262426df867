import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { once } from 'node:events';
import { it } from 'node:test';
import { CoordinationV1Api, CoreV1Api, KubeConfig, makeInformer, Watch } from '@kubernetes/client-node';
import { describeApiServer, type ServerUnderTest } from './server-under-test.ts';
import { until } from './widgets.ts';

function configOf({ kubeconfigPath }: ServerUnderTest): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigPath);
  return config;
}

describeApiServer('Clients', (server) => {
  it('client-node creates, replaces, lists and deletes', async () => {
    const api = configOf(server()).makeApiClient(CoreV1Api);
    const namespace = 'default';
    const created = await api.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'typed' }, data: { a: 'b' } },
    });
    assert.ok(created.metadata?.creationTimestamp instanceof Date);
    const replaced = await api.replaceNamespacedConfigMap({
      name: 'typed',
      namespace,
      body: { ...created, data: { a: 'c' } },
    });
    assert.deepEqual(replaced.data, { a: 'c' });
    await assert.rejects(api.replaceNamespacedConfigMap({ name: 'typed', namespace, body: created }), { code: 409 });
    const list = await api.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=typed' });
    assert.equal(list.items.length, 1);
    await api.deleteNamespacedConfigMap({ name: 'typed', namespace });
    await assert.rejects(api.readNamespacedConfigMap({ name: 'typed', namespace }), { code: 404 });
  });

  it('client-node takes turns on a Lease', async () => {
    const api = configOf(server()).makeApiClient(CoordinationV1Api);
    const namespace = 'default';
    const body = { metadata: { name: 'leader' }, spec: { holderIdentity: 'one', leaseDurationSeconds: 15 } };
    const lease = await api.createNamespacedLease({ namespace, body });
    const [first, second] = ['two', 'three'].map((holderIdentity) => ({
      ...lease,
      spec: { ...lease.spec, holderIdentity },
    }));
    assert.ok(first && second);
    await api.replaceNamespacedLease({ name: 'leader', namespace, body: first });
    await assert.rejects(api.replaceNamespacedLease({ name: 'leader', namespace, body: second }), { code: 409 });
  });

  it("client-node's informer follows a collection", async () => {
    const config = configOf(server());
    const api = config.makeApiClient(CoreV1Api);
    const namespace = 'kube-public';
    const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
      api.listNamespacedConfigMap({ namespace }),
    );
    const seen: string[] = [];
    for (const verb of ['add', 'update', 'delete'] as const) {
      informer.on(verb, ({ metadata }) => seen.push(`${verb} ${metadata?.name ?? ''}`));
    }
    await informer.start();
    try {
      await api.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'followed' } } });
      await api.replaceNamespacedConfigMap({
        name: 'followed',
        namespace,
        body: { metadata: { name: 'followed' }, data: { a: 'b' } },
      });
      await api.deleteNamespacedConfigMap({ name: 'followed', namespace });
      await until('the informer saw it all', () => Promise.resolve(seen.includes('delete followed')));
      const own = seen.filter((text) => text.endsWith(' followed'));
      assert.deepEqual(own, ['add followed', 'update followed', 'delete followed']);
    } finally {
      await informer.stop();
    }
  });

  it("client-node's watch can be aborted", async () => {
    const watch = new Watch(configOf(server()));
    let onDone: (() => void) | undefined;
    const done = new Promise<void>((resolve) => (onDone = resolve));
    let onEvent: ((type: string) => void) | undefined;
    const first = new Promise<string>((resolve) => (onEvent = resolve));
    const controller = await watch.watch(
      '/api/v1/namespaces',
      {},
      (type) => onEvent?.(type),
      () => onDone?.(),
    );
    assert.equal(await first, 'ADDED');
    controller.abort();
    await done;
  });

  it('answers over HTTP/2 to those who prefer it', async () => {
    const { url, ca, token } = server();
    const session = connect(url, { ca });
    try {
      const stream = session.request({ ':path': '/api/v1/namespaces/default', authorization: `Bearer ${token}` });
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      assert.equal(headers[':status'], 200);
      let text = '';
      for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString();
      assert.equal((JSON.parse(text) as { kind: string }).kind, 'Namespace');
    } finally {
      session.destroy();
    }
  });
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { listOf, textOf, type Json } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';
import { until } from './widgets.ts';

const CORE = '/api/v1/namespaces/default';
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

function event(name: string, extra: Json = {}): Json {
  const involvedObject = { kind: 'Node', name: 'n1', apiVersion: 'v1' };
  return { metadata: { name }, involvedObject, reason: 'Switched', message: 'now nftables', type: 'Normal', ...extra };
}

describeApiServer('Built-in kinds', (server) => {
  it('exist in the four namespaces of every cluster', async () => {
    const { client } = server();
    const wanted = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];
    await until('the namespaces exist', async () => {
      const { body } = await client.get('/api/v1/namespaces');
      const names = listOf(body.items).map(({ metadata }) => textOf(metadata?.name));
      return wanted.every((name) => names.includes(name));
    });
  });

  it('events are the same objects in both of their groups', async () => {
    const { client } = server();
    assert.equal((await client.create(`${CORE}/events`, event('shared'))).status, 201);
    const { body } = await client.get('/apis/events.k8s.io/v1/namespaces/default/events/shared');
    assert.equal(body.apiVersion, 'events.k8s.io/v1');
    assert.equal(body.note, 'now nftables');
    assert.equal(body.regarding?.name, 'n1');
    assert.equal(body.involvedObject, undefined);
  });

  it('events of the new group need all that says who did what', async () => {
    const { client } = server();
    const path = '/apis/events.k8s.io/v1/namespaces/default/events';
    const regarding = { kind: 'Node', name: 'n1' };
    const full = {
      metadata: { name: 'modern' },
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'switchyard.dev/agent',
      reportingInstance: 'n1',
      action: 'Switch',
      reason: 'Switched',
      type: 'Normal',
      note: 'now nftables',
      regarding,
    };
    assert.equal((await client.create(path, full)).status, 201);
    assert.equal((await client.get(`${CORE}/events/modern`)).body.message, 'now nftables');
    const { action: _, ...rest } = full;
    const refused = await client.create(path, { ...rest, metadata: { name: 'vague' }, type: 'Odd' });
    assert.equal(refused.status, 422);
    assert.match(textOf(refused.body.message), /action: Required value/);
    assert.match(textOf(refused.body.message), /type: /);
  });

  it('events are selected by what they are about', async () => {
    const { client } = server();
    await client.create(`${CORE}/events`, event('about', { involvedObject: { kind: 'Node', name: 'n9', uid: 'u9' } }));
    const query = {
      fieldSelector: 'involvedObject.name=n9,involvedObject.kind=Node,involvedObject.uid=u9,type!=Warning',
    };
    const { body } = await client.get('/api/v1/events', query);
    assert.deepEqual(
      listOf(body.items).map(({ metadata }) => metadata?.name),
      ['about'],
    );
  });

  it('leases come into being by being replaced', async () => {
    const { client } = server();
    const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const lease = { metadata: { name: 'n1' }, spec: { holderIdentity: 'n1', leaseDurationSeconds: 40 } };
    const created = await client.create(path, lease);
    assert.equal(created.status, 201);
    const stale = { ...lease, metadata: { name: 'n1', resourceVersion: '1' } };
    assert.equal((await client.put(`${path}/n1`, stale)).status, 409);
    const bad = await client.create(path, { metadata: { name: 'n2' }, spec: { leaseDurationSeconds: 0 } });
    assert.equal(bad.status, 422);
    assert.match(textOf(bad.body.message), /spec\.leaseDurationSeconds: Invalid value: 0: must be greater than 0/);
  });

  it('nodes keep their status through an update of the node', async () => {
    const { client } = server();
    const status = {
      conditions: [{ type: 'Ready', status: 'True' }],
      addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
    };
    const created = await client.create('/api/v1/nodes', {
      metadata: { name: 'n1' },
      spec: { podCIDR: '10.1.0.0/24' },
      status,
    });
    assert.equal(created.status, 201, created.text);
    await client.patch('/api/v1/nodes/n1/status', 'strategic-merge-patch+json', { status });
    const labelled = await client.patch('/api/v1/nodes/n1', 'merge-patch+json', {
      metadata: { labels: { a: 'b' } },
      status: {},
    });
    assert.equal(textOf(labelled.body.status?.addresses?.[0]?.address), '192.0.2.1');
    const { body } = await client.call('GET', '/api/v1/nodes/n1', { accept: TABLE });
    assert.deepEqual(listOf(body.rows?.[0]?.cells).slice(0, 3).map(textOf), ['n1', 'Ready', '<none>']);
  });

  it('EndpointSlices are checked', async () => {
    const { client } = server();
    const path = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
    const slice = {
      metadata: { name: 's' },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.0.0.1'] }],
      ports: [{ port: 80 }],
    };
    const created = await client.create(path, slice);
    assert.equal(created.status, 201, created.text);
    assert.deepEqual(created.body.ports, [{ name: '', port: 80, protocol: 'TCP' }]);
    assert.equal(created.body.metadata?.generation, 1);
    for (const [bad, message] of [
      [{ addressType: 'IPv9' }, /addressType: Unsupported value: "IPv9"/],
      [{ endpoints: [{ addresses: ['fd00::1'] }] }, /endpoints\[0\]\.addresses\[0\]: Invalid value: "fd00::1"/],
      [{ endpoints: [{ addresses: [] }] }, /endpoints\[0\]\.addresses: Required value/],
      [{ ports: [{ port: 1 }, { port: 2 }] }, /ports\[1\].*: Duplicate value/],
    ] as const) {
      const refused = await client.create(path, { ...slice, metadata: { name: 'bad' }, ...bad });
      assert.equal(refused.status, 422, refused.text);
      assert.match(textOf(refused.body.message), message);
    }
  });

  it('pods and DaemonSets get defaults and are checked', async () => {
    const { client } = server();
    const template = {
      metadata: { labels: { app: 'x' } },
      spec: { containers: [{ name: 'c', image: 'example.com/c:1' }] },
    };
    const pod = await client.create(`${CORE}/pods`, {
      metadata: { name: 'p' },
      spec: { ...template.spec, nodeName: 'n1' },
    });
    assert.equal(pod.status, 201, pod.text);
    assert.equal(pod.body.spec?.restartPolicy, 'Always');
    assert.equal(pod.body.status?.phase, 'Pending');
    const set = { metadata: { name: 'd' }, spec: { selector: { matchLabels: { app: 'x' } }, template } };
    const path = '/apis/apps/v1/namespaces/default/daemonsets';
    const created = await client.create(path, set);
    assert.equal(created.status, 201, created.text);
    assert.equal(created.body.spec?.updateStrategy?.type, 'RollingUpdate');
    const wrong = { ...set.spec, selector: { matchLabels: { app: 'y' } } };
    const refused = await client.create(path, { metadata: { name: 'e' }, spec: wrong });
    assert.equal(refused.status, 422);
    assert.match(textOf(refused.body.message), /`selector` does not match template `labels`/);
    const empty = await client.create(`${CORE}/pods`, { metadata: { name: 'q' }, spec: { containers: [] } });
    assert.match(textOf(empty.body.message), /spec\.containers: Required value/);
  });

  it('secrets take plain text and keep it encoded', async () => {
    const { client } = server();
    const { body } = await client.create(`${CORE}/secrets`, { metadata: { name: 's' }, stringData: { a: 'b' } });
    assert.deepEqual(body.data, { a: 'Yg==' });
    assert.equal(body.type, 'Opaque');
    assert.equal(body.stringData, undefined);
  });
});

import assert from 'node:assert/strict';
import { it, describe } from 'node:test';
import koffi from 'koffi';
import { startApiServer } from '../../src/sandbox/apiserver/api-server.ts';
import { ApiClient, listOf, textOf } from './api-client.ts';

const AF_INET = 2;
const SOCK_STREAM = 1;

/** A listening socket that Node knows nothing about, as the demo makes one in another network namespace. */
function listeningSocket(): { fd: number; port: number } {
  const libc = koffi.load('libc.so.6');
  const socket = libc.func('int socket(int, int, int)') as (...numbers: number[]) => number;
  const bind = libc.func('int bind(int, const uint8_t *, int)') as (
    fd: number,
    address: Uint8Array,
    length: number,
  ) => number;
  const listen = libc.func('int listen(int, int)') as (fd: number, backlog: number) => number;
  const name = libc.func('int getsockname(int, _Out_ uint8_t *, _Inout_ int *)') as (
    fd: number,
    address: Uint8Array,
    length: number[],
  ) => number;
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  // struct sockaddr_in: family (host order), port 0, 127.0.0.1, padding.
  const address = Buffer.from([AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(bind(fd, address, address.length), 0);
  assert.equal(listen(fd, 16), 0);
  assert.equal(name(fd, address, [address.length]), 0);
  return { fd, port: address.readUInt16BE(2) };
}

describe('Embedded API server', () => {
  it('serves the same objects on a listening socket that it is given', async (test) => {
    const server = await startApiServer();
    test.after(() => server.close());
    const { fd, port } = listeningSocket();
    await server.listenFd(fd);
    const access = { ca: server.caPem, token: server.adminToken };
    const first = new ApiClient({ url: server.url, ...access });
    const second = new ApiClient({ url: `https://127.0.0.1:${port}`, ...access });
    test.after(() => Promise.all([first.close(), second.close()]));
    await first.create('/api/v1/namespaces/default/configmaps', { metadata: { name: 'shared' } });
    assert.equal((await second.get('/api/v1/namespaces/default/configmaps/shared')).status, 200);
  });

  it('knows the users of its tokens', async (test) => {
    const server = await startApiServer();
    test.after(() => server.close());
    const extra = { 'authentication.kubernetes.io/node-name': ['n1'] };
    const token = server.addToken('system:serviceaccount:default:agent', ['system:serviceaccounts'], extra);
    const client = new ApiClient({ url: server.url, ca: server.caPem, token });
    test.after(() => client.close());
    const { body } = await client.create('/apis/authentication.k8s.io/v1/selfsubjectreviews', {});
    assert.deepEqual(body.status?.userInfo, {
      username: 'system:serviceaccount:default:agent',
      groups: ['system:serviceaccounts', 'system:authenticated'],
      extra,
    });
  });

  it('ends its watches when it closes', async () => {
    const server = await startApiServer();
    const client = new ApiClient({ url: server.url, ca: server.caPem, token: server.adminToken });
    const watching = await client.watch('/api/v1/configmaps', { resourceVersion: '1' });
    await server.close();
    assert.equal(await watching.next(), undefined);
    await client.close();
    await server.close();
  });

  it('repeats itself when it is given a seed and a clock', async (test) => {
    const run = async (): Promise<string> => {
      const server = await startApiServer({ seed: 7, now: () => new Date('2026-01-02T03:04:05Z') });
      test.after(() => server.close());
      const client = new ApiClient({ url: server.url, ca: server.caPem, token: server.adminToken });
      test.after(() => client.close());
      const spec = { type: 'NodePort', ports: [{ port: 80 }] };
      const { text } = await client.create('/api/v1/namespaces/default/services', {
        metadata: { generateName: 's-' },
        spec,
      });
      return text;
    };
    assert.equal(await run(), await run());
  });

  it('forgets old changes by itself, and says so', async (test) => {
    const server = await startApiServer({ historyLimit: 5 });
    test.after(() => server.close());
    const client = new ApiClient({ url: server.url, ca: server.caPem, token: server.adminToken });
    test.after(() => client.close());
    for (let index = 0; index < 20; index += 1) {
      await client.create('/api/v1/namespaces/default/configmaps', { metadata: { name: `c${index}` } });
    }
    const watching = await client.watch('/api/v1/configmaps', { resourceVersion: '2' });
    assert.equal((await watching.next())?.object?.code, 410);
    const list = await client.get('/api/v1/configmaps', { labelSelector: '' });
    assert.equal(listOf(list.body.items).length, 20);
    assert.match(textOf(list.body.metadata?.resourceVersion), /^\d+$/);
  });

  it('has no dual-stack Services where it has one family', async (test) => {
    const server = await startApiServer({ serviceCidr6: null });
    test.after(() => server.close());
    const client = new ApiClient({ url: server.url, ca: server.caPem, token: server.adminToken });
    test.after(() => client.close());
    const create = (spec: object) =>
      client.create('/api/v1/namespaces/default/services', {
        metadata: { name: 's' },
        spec: { ports: [{ port: 80 }], ...spec },
      });
    assert.match(textOf((await create({ ipFamilies: ['IPv6'] })).body.message), /not configured on this cluster/);
    const required = await create({ ipFamilyPolicy: 'RequireDualStack' });
    assert.match(textOf(required.body.message), /this cluster is not configured for dual-stack services/);
    assert.deepEqual((await create({ ipFamilyPolicy: 'PreferDualStack' })).body.spec?.ipFamilies, ['IPv4']);
  });

  it('takes its cluster IPs from the range it is given', async (test) => {
    const server = await startApiServer({ serviceCidr: '10.200.0.0/29' });
    test.after(() => server.close());
    const client = new ApiClient({ url: server.url, ca: server.caPem, token: server.adminToken });
    test.after(() => client.close());
    const path = '/api/v1/namespaces/default/services';
    const spec = { ports: [{ port: 80 }] };
    const addresses = new Set<string>();
    for (let index = 0; index < 5; index += 1) {
      const { body } = await client.create(path, { metadata: { name: `s${index}` }, spec });
      addresses.add(textOf(body.spec?.clusterIP));
    }
    assert.deepEqual(
      [...addresses].sort(),
      [2, 3, 4, 5, 6].map((last) => `10.200.0.${last}`),
    );
    const full = await client.create(path, { metadata: { name: 'full' }, spec });
    assert.equal(full.status, 500);
    assert.match(textOf(full.body.message), /range is full/);
  });
});

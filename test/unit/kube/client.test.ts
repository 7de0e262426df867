import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { KubeClient } from '../../../src/kube/client.ts';
import { ApiError } from '../../../src/kube/error.ts';
import { newWatchTime } from '../../../src/kube/watch-time.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}';

const WATCHED =
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n14\r\n{"type":"BOOKMARK"}\n\r\n';

describe('a connection that the API server closes just when it is used again', () => {
  let server: Server;
  let client: KubeClient;
  let connections = 0;
  let cut: () => void = () => undefined;

  before(async () => {
    server = createServer((socket) => {
      connections += 1;
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write(ANSWER);
        socket.on('data', (text) => {
          cut = () => socket.resetAndDestroy();
          if (text.toString().startsWith('GET /watched')) socket.write(WATCHED);
          else cut();
        });
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  after(() => server.close());
  beforeEach(async () => {
    const { port } = server.address() as AddressInfo;
    client = new KubeClient({ server: `http://127.0.0.1:${port}`, insecureSkipTlsVerify: false });
    await client.get('/');
    connections = 0;
  });
  afterEach(() => client.close());

  for (const { name, call } of [
    { name: 'read', call: () => client.get('/again') },
    { name: 'server-side apply', call: () => client.apply('/again', {}, 'me') },
  ]) {
    it(`costs a ${name} a new connection, and nothing else`, async () => {
      assert.deepEqual(await call(), {});
      assert.equal(connections, 1);
    });
  }

  it('ends a watch that was answered on it, and opens no other behind its reader', async () => {
    const life = { signal: new AbortController().signal, time: newWatchTime() };
    const watch = client.watch('/watched', {}, life);
    assert.equal((await watch.next()).value?.type, 'BOOKMARK');
    cut();
    await assert.rejects(watch.next(), ApiError);
    await client.get('/');
    assert.equal(connections, 1);
  });

  for (const { name, call } of [
    { name: 'what is created', call: () => client.create('/again', {}) },
    { name: 'what is removed', call: () => client.remove('/again') },
  ]) {
    it(`is told to whoever sends ${name}: it may have been done`, async () => {
      await assert.rejects(call(), (error) => error instanceof ApiError && error.status === 0 && error.retryable);
      assert.equal(connections, 0);
    });
  }
});

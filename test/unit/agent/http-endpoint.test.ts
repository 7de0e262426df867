import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { serveHttp } from '../../../src/agent/http-endpoint.ts';
import { silentLog } from '../../../src/support/log.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';

const DEADLINE_MS = 5_000;

async function status(port: number, path: string): Promise<number | undefined> {
  try {
    const [response] = (await once(get({ host: '127.0.0.1', port, path, agent: false }), 'response')) as [
      IncomingMessage,
    ];
    response.resume();
    return response.statusCode;
  } catch {
    return undefined;
  }
}

describe('HTTP endpoint', () => {
  it('is tried again while its port is taken, answers what it has, and ends with the agent', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as AddressInfo;
    const clock = new FakeClock();
    const stop = new AbortController();
    const routes = {
      '/ok': () => ({ status: 200, contentType: 'text/plain', body: 'ok' }),
      '/broken': () => Promise.reject(new Error('no')),
    };
    serveHttp({ host: '127.0.0.1', port }, routes, { log: silentLog, clock, signal: stop.signal });
    squatter.close();
    await once(squatter, 'close');
    for (const deadline = Date.now() + DEADLINE_MS; (await status(port, '/ok')) !== 200; clock.advance(5_000)) {
      assert.ok(Date.now() < deadline, 'nobody listens');
    }
    assert.equal(await status(port, '/broken'), 500);
    assert.equal(await status(port, '/other'), 404);
    stop.abort();
    assert.equal(await status(port, '/ok'), undefined);
  });
});

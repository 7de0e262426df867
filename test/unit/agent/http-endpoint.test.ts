import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';
import { serveHttp } from '../../../src/agent/http-endpoint.ts';
import { silentLog } from '../../../src/support/log.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';

const DEADLINE_MS = 5_000;

const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

/** One that nobody listens on, on any address. */
async function freePort(): Promise<number> {
  const finder = createServer().listen(0);
  await once(finder, 'listening');
  const { port } = finder.address() as AddressInfo;
  finder.close();
  await once(finder, 'close');
  return port;
}

async function status(port: number, path: string, host = '127.0.0.1'): Promise<number | undefined> {
  try {
    const [response] = (await once(get({ host, port, path, agent: false }), 'response')) as [IncomingMessage];
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

  it('is on every address of both families where it is to be on all of IPv4', { skip: !hasIPv6 }, async () => {
    const port = await freePort();
    const stop = new AbortController();
    const routes = { '/ok': () => ({ status: 200, contentType: 'text/plain', body: 'ok' }) };
    serveHttp({ host: '0.0.0.0', port }, routes, { log: silentLog, clock: new FakeClock(), signal: stop.signal });
    for (const host of ['127.0.0.1', '::1']) assert.equal(await status(port, '/ok', host), 200, host);
    stop.abort();
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { get, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ServiceHealthServer } from '../../../../src/agent/services/service-health.ts';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import { silentLog } from '../../../../src/support/log.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

const DEADLINE_MS = 5_000;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Undefined when nobody listens. */
async function ask(port: number, path = '/'): Promise<Answer | undefined> {
  try {
    const [response] = (await once(get({ host: '127.0.0.1', port, path, agent: false }), 'response')) as [
      IncomingMessage,
    ];
    let body = '';
    for await (const chunk of response) body += String(chunk);
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  } catch {
    return undefined;
  }
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + DEADLINE_MS; !(await look()); await new Promise(setImmediate)) {
    assert.ok(Date.now() < deadline, what);
  }
}

describe('service health server', () => {
  let table: ServiceTable;
  let clock: FakeClock;
  let stop: AbortController;
  let server: ServiceHealthServer;
  let port: number;
  let isHealthy: boolean;
  let failures: string[];

  beforeEach(async () => {
    port = await freePort();
    clock = new FakeClock();
    stop = new AbortController();
    isHealthy = true;
    failures = [];
    table = new ServiceTable({
      nodeName: 'n1',
      dataplane: {
        families: ['IPv4'],
        localDetector: { kind: 'none' },
        masqueradeAll: false,
        masqueradeBit: 14,
        nodePortAddresses: 'all',
        localhostNodePorts: false,
        serviceCIDRs: [],
      },
    });
    server = new ServiceHealthServer({
      isHealthy: () => isHealthy,
      nodePortAddresses: () => ['127.0.0.1'],
      onBindFailure: ({ name, healthCheckNodePort }) => failures.push(`${name} ${healthCheckNodePort}`),
      clock,
      log: silentLog,
      signal: stop.signal,
    });
  });
  afterEach(() => stop.abort());

  function service(healthCheckNodePort: number): void {
    table.upsertService({
      metadata: { namespace: 'shop', name: 'web' },
      spec: {
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        clusterIP: '10.96.0.1',
        ports: [{ port: 80, nodePort: 30080 }],
        healthCheckNodePort,
      },
    });
  }

  function endpoints(...ready: readonly boolean[]): void {
    table.upsertEndpointSlice({
      metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [{ name: '', port: 8080 }],
      endpoints: ready.map((isReady, index) => ({
        addresses: [`10.0.0.${index + 1}`],
        nodeName: 'n1',
        conditions: { ready: isReady },
      })),
    });
  }

  function follow(): void {
    const taken = table.take();
    server.taken(taken);
    server.programmed(taken.snapshot.servicePorts, false);
  }

  it('answers as kube-proxy does, on any path', async () => {
    service(port);
    endpoints(true, true, false);
    follow();
    await until('it listens', async () => (await ask(port)) !== undefined);
    const answer = await ask(port, '/some/path');
    assert.equal(answer?.status, 200);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.equal(answer.headers['x-load-balancing-endpoint-weight'], '2');
    assert.equal(
      answer.body,
      '{\n\t"service": {\n\t\t"namespace": "shop",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
    );
  });

  it('fails without ready endpoints here, and while the data plane is not healthy', async () => {
    service(port);
    endpoints(false);
    follow();
    await until('it listens', async () => (await ask(port))?.status === 503);
    endpoints(true);
    follow();
    assert.equal((await ask(port))?.status, 200);
    isHealthy = false;
    const answer = await ask(port);
    assert.equal(answer?.status, 503);
    assert.match(answer.body, /"serviceProxyHealthy": false/);
  });

  it('moves with the port, and goes with the Service', async () => {
    service(port);
    follow();
    await until('it listens', async () => (await ask(port)) !== undefined);
    const other = await freePort();
    service(other);
    follow();
    await until('it listens on the other port', async () => (await ask(other)) !== undefined);
    assert.equal(await ask(port), undefined);
    table.deleteService({ metadata: { namespace: 'shop', name: 'web' } });
    follow();
    await until('nobody listens', async () => (await ask(other)) === undefined);
  });

  it('says once that a port is taken, and listens when it is free', async () => {
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    service(port);
    endpoints(true);
    follow();
    await until('it says so', () => Promise.resolve(failures.length > 0));
    clock.advance(5_000);
    squatter.close();
    await once(squatter, 'close');
    await until('it listens', async () => {
      clock.advance(5_000);
      return (await ask(port))?.status === 200;
    });
    assert.deepEqual(failures, [`web ${port}`]);
  });

  it('waits until the kernel has the rules', async () => {
    service(port);
    server.taken(table.take());
    assert.equal(await ask(port), undefined);
    server.programmed(new Map(), false);
    await until('it listens', async () => (await ask(port)) !== undefined);
  });
});

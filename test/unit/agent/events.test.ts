import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { EventWriter, type ObjectEvent } from '../../../src/agent/events.ts';
import { ServiceTable } from '../../../src/core/service/service-table.ts';
import { ApiError } from '../../../src/kube/error.ts';
import { silentLog } from '../../../src/support/log.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';

interface EventJson {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly regarding: Record<string, string>;
  readonly note: string;
  readonly eventTime: string;
  readonly reportingInstance: string;
}

/** An API server's events: creating one of a name that is there fails. */
class FakeEvents {
  readonly written = new Map<string, EventJson>();
  requests = 0;
  refusal: number | undefined;

  create(path: string, body: unknown): Promise<Record<string, unknown>> {
    this.requests += 1;
    const event = body as EventJson;
    assert.equal(path, `/apis/events.k8s.io/v1/namespaces/${event.metadata.namespace}/events`);
    if (this.refusal !== undefined) return Promise.reject(new ApiError('POST', path, this.refusal, {}));
    if (this.written.has(event.metadata.name)) return Promise.reject(new ApiError('POST', path, 409, {}));
    this.written.set(event.metadata.name, event);
    return Promise.resolve({});
  }

  get notes(): string[] {
    return [...this.written.values()].map(({ note }) => note);
  }
}

const event = (note: string): ObjectEvent => ({
  reference: { kind: 'Service', namespace: 'shop', name: 'web', uid: 'u', resourceVersion: '1' },
  type: 'Warning',
  reason: 'Test',
  action: 'Test',
  note,
});

async function settled(): Promise<void> {
  for (let round = 0; round < 30; round += 1) await turn();
}

describe('event writer', () => {
  let clock: FakeClock;
  let api: FakeEvents;
  let writer: EventWriter;
  let table: ServiceTable;

  const newWriter = (nodeName: string) =>
    new EventWriter({ client: api, nodeName, clock, log: silentLog, signal: new AbortController().signal });

  beforeEach(() => {
    clock = new FakeClock();
    api = new FakeEvents();
    writer = newWriter('n1');
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
  });

  const badService = (resourceVersion: string) =>
    table.upsertService({
      metadata: { namespace: 'shop', name: 'web', uid: 'u-1', resourceVersion },
      spec: { clusterIP: '10.96.0.1', externalIPs: ['x', 'y'], ports: [{ port: 80 }] },
    });

  it('tells all problems of one version of an object in one event on it', async () => {
    badService('7');
    writer.taken(table.take());
    await settled();
    const [only, ...others] = [...api.written.values()];
    assert.deepEqual(others, []);
    assert.deepEqual(only?.regarding, {
      apiVersion: 'v1',
      kind: 'Service',
      namespace: 'shop',
      name: 'web',
      uid: 'u-1',
      resourceVersion: '7',
    });
    assert.match(only.note, /spec\.externalIPs\[0\].*spec\.externalIPs\[1\]/);
    assert.equal(only.metadata.namespace, 'shop');
    assert.match(only.eventTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.equal(only.reportingInstance, 'n1');
  });

  it('tells of objects and nodes of whatever name within what an event has room for', async () => {
    const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(7)}.${'e'.repeat(52)}`;
    const { reference } = event('');
    newWriter(long).say({
      ...event('of a node'),
      reference: { ...reference, kind: 'Node', namespace: '', name: long },
    });
    await settled();
    const [only] = [...api.written.values()];
    assert.equal(only?.reportingInstance, long.slice(0, 128));
    assert.match(only.metadata.name, /^[a-z]([-a-z0-9.]*[a-z])?\.[0-9a-f]{16}$/);
    assert.ok(only.metadata.name.length <= 253);
    assert.equal(only.regarding['name'], long);
  });

  it('makes one event when two nodes tell the same, of whichever version of the object', async () => {
    badService('7');
    writer.taken(table.take());
    table.deleteService({ metadata: { namespace: 'shop', name: 'web' } });
    badService('8');
    newWriter('n2').taken(table.take());
    await settled();
    assert.equal(api.requests, 2);
    assert.equal(api.written.size, 1);
  });

  it('keeps events while the API server is away and nobody waits', async () => {
    api.refusal = 0;
    writer.say(event('one'));
    writer.say(event('two'));
    await settled();
    assert.equal(api.written.size, 0);
    api.refusal = undefined;
    clock.advance(60_000);
    await settled();
    assert.deepEqual(api.notes, ['one', 'two']);
  });

  for (const status of [403, 404, 422]) {
    it(`gives up an event that is refused with ${status}`, async () => {
      api.refusal = status;
      writer.say(event('one'));
      await settled();
      api.refusal = undefined;
      writer.say(event('two'));
      await settled();
      assert.deepEqual(api.notes, ['two']);
    });
  }

  it('writes a burst, then few at a time, and forgets what is too much', async () => {
    for (let index = 0; index < 500; index += 1) writer.say(event(`n${index}`));
    await settled();
    assert.equal(api.requests, 25);
    clock.advance(10_000);
    await settled();
    assert.equal(api.requests, 26);
    for (let round = 0; round < 200; round += 1) {
      clock.advance(10_000);
      await settled();
    }
    assert.ok(api.requests <= 126, String(api.requests));
  });

  it('cuts a note to what the API server takes, and names objects of any length', async () => {
    const name = `${'a'.repeat(199)}.${'b'.repeat(53)}`;
    const reference = { kind: 'EndpointSlice', namespace: 'shop', name, uid: '', resourceVersion: '' };
    writer.say({ ...event('ü'.repeat(2_000)), reference });
    await settled();
    const [only] = [...api.written.values()];
    assert.ok(Buffer.byteLength(only?.note ?? '') <= 1024);
    assert.match(only?.metadata.name ?? '', /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
    assert.equal(only?.regarding['apiVersion'], 'discovery.k8s.io/v1');
    assert.ok((only?.metadata.name.length ?? 999) <= 253);
  });
});

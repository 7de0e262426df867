import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { ServiceMetrics } from '../../../../src/agent/metrics/services.ts';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import type { ServicePort, ServicePortKey } from '../../../../src/core/service/snapshot.ts';
import type { Counted } from '../../../../src/kernel/counters.ts';
import { OPTIONS, service } from '../../core/api-objects.ts';
import { silentLog } from '../../../../src/support/log.ts';

class FakeCounters {
  calls = 0;
  isRefusing = false;
  ports: readonly ServicePort[] = [];

  count(ports: readonly ServicePort[]): Promise<void> {
    this.calls += 1;
    if (this.isRefusing) return Promise.reject(new Error('the kernel says no'));
    this.ports = ports;
    return Promise.resolve();
  }

  read(): Promise<ReadonlyMap<ServicePortKey, Counted>> {
    return Promise.resolve(new Map(this.ports.map(({ key }) => [key, { connections: 3, packets: 9, bytes: 900 }])));
  }
}

describe('metrics of Services', () => {
  let table: ServiceTable;
  let counters: FakeCounters;
  let registry: Registry;
  let metrics: ServiceMetrics;

  beforeEach(() => {
    table = new ServiceTable({ nodeName: 'n1', dataplane: { ...OPTIONS, families: ['IPv4'] } });
    counters = new FakeCounters();
    registry = new Registry();
    metrics = new ServiceMetrics({ counters, registry, log: silentLog });
  });

  const put = (name: string, asks: string | undefined, index = 0) =>
    table.upsertService(
      service(
        name,
        { clusterIP: `172.30.${index >> 8}.${(index & 0xff) + 1}` },
        { metadata: { annotations: asks === undefined ? {} : { 'switchyard.dev/metrics': asks } } },
      ),
    );
  const follow = async () => {
    const taken = table.take();
    metrics.taken(taken);
    metrics.programmed(taken.snapshot.servicePorts, false);
    await turn();
  };
  const lines = async () => (await registry.metrics()).split('\n').filter((line) => !line.startsWith('#'));

  it('are those of Services that ask for them, and go with them', async () => {
    put('asks', 'true', 1);
    put('silent', undefined, 2);
    put('declines', 'false', 3);
    await follow();
    const labels = '{namespace="ns",service="asks",port="",protocol="TCP",ip_family="IPv4"}';
    const found = (await lines()).filter((line) => line.includes('service='));
    assert.deepEqual(found, [
      `switchyard_service_connections_total${labels} 3`,
      `switchyard_service_packets_total${labels} 9`,
      `switchyard_service_bytes_total${labels} 900`,
    ]);
    put('asks', undefined, 1);
    await follow();
    assert.deepEqual(counters.ports, []);
    assert.deepEqual(
      (await lines()).filter((line) => line.includes('service=')),
      [],
    );
  });

  it('cost nothing while nobody asks, but what an earlier life counted goes', async () => {
    put('silent', undefined);
    await follow();
    put('silent', 'false', 1);
    await follow();
    await lines();
    assert.equal(counters.calls, 1);
  });

  it('are looked after when the rules were written as a whole', async () => {
    put('asks', 'true');
    await follow();
    metrics.programmed(table.take().snapshot.servicePorts, true);
    await turn();
    assert.equal(counters.calls, 2);
  });

  it('are bounded in number, and say how many are left out', async () => {
    for (let index = 0; index < 205; index += 1) put(`s${String(index).padStart(3, '0')}`, 'true', index);
    await follow();
    assert.equal(counters.ports.length, 200);
    assert.equal(counters.ports[0]?.name, 's000');
    assert.ok((await lines()).includes('switchyard_service_metrics_left_out 5'));
  });

  it('come when the kernel takes the counters again, and hold nothing up', async () => {
    counters.isRefusing = true;
    put('asks', 'true');
    await follow();
    assert.equal(
      (await lines()).some((line) => line.includes('service=')),
      false,
    );
    counters.isRefusing = false;
    assert.equal(
      (await lines()).some((line) => line.includes('service="asks"')),
      true,
    );
  });
});

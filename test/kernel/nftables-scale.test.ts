import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ServicePort, Snapshot } from '../../src/core/service/snapshot.ts';
import { createNftablesDataplane } from '../../src/kernel/dataplane-nftables.ts';
import type { Dataplane } from '../../src/kernel/dataplane.ts';
import { Testbed } from '../../src/sandbox/net/testbed.ts';
import { dataplaneOptions } from './iptables-fixture.ts';

const SERVICES = 5_000;
const ENDPOINTS = 3;

function servicePort(number: number, endpoints = ENDPOINTS): ServicePort {
  const address = `${number >> 8}.${number & 0xff}`;
  return {
    key: `load/s${number}:/TCP@IPv4`,
    namespace: 'load',
    name: `s${number}`,
    portName: '',
    family: 'IPv4',
    protocol: 'TCP',
    port: 80,
    clusterIP: `10.96.${address}`,
    nodePort: 30_000 + number,
    externalIPs: [],
    loadBalancerVIPs: [],
    loadBalancerSourceRanges: [],
    internalLocal: false,
    externalLocal: false,
    affinitySeconds: 0,
    scheduler: 'random',
    healthCheckNodePort: 0,
    clusterBackends: Array.from({ length: endpoints }, (_, index) => ({
      address: `10.${200 + index}.${address}`,
      port: 8080,
      isLocal: number % 100 === 0,
    })),
    localBackends: [],
    hasEndpoints: endpoints > 0,
    flowBackends: [],
    readyLocalAddresses: [],
  };
}

describe(`nftables mode with ${SERVICES} Services of ${ENDPOINTS} endpoints, each with a NodePort`, () => {
  let testbed: Testbed;
  let dataplane: Dataplane;
  const ports = new Map<string, ServicePort>();
  const snapshot: Snapshot = { options: dataplaneOptions(), servicePorts: ports };
  before(async () => {
    testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
    dataplane = createNftablesDataplane({ netns: testbed.node('n1').netnsPath });
    for (let number = 0; number < SERVICES; number += 1) {
      const port = servicePort(number);
      ports.set(port.key, port);
    }
  });
  after(async () => {
    dataplane?.close();
    await testbed?.destroy();
  });

  const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    console.log(`# ${what}: ${(performance.now() - start).toFixed(1)} ms`);
    return result;
  };

  it('loads in one transaction, reads back equal and is left alone by a second sync', async () => {
    const { written } = await timed('load', () => dataplane.sync(snapshot));
    assert.ok(written >= SERVICES * (2 + 2 * ENDPOINTS), String(written));
    assert.deepEqual(await timed('verify', () => dataplane.verify(snapshot)), []);
    assert.deepEqual(await timed('sync again', () => dataplane.sync(snapshot)), { written: 0, removed: 0 });
  });

  it('writes as much for a change as the change is, whatever the size of the whole', async () => {
    for (let round = 0; round < 10; round += 1) {
      const before = ports.get(servicePort(round).key) ?? assert.fail();
      const after = servicePort(round, ENDPOINTS + 1);
      ports.set(after.key, after);
      const { written, removed } = await timed('update', () =>
        dataplane.update(snapshot, [{ key: after.key, before, after }]),
      );
      const ownElements = 4;
      assert.ok(written >= ownElements && written <= 20 && removed === 2, `${written} written, ${removed} removed`);
    }
    assert.deepEqual(await dataplane.verify(snapshot), []);
  });

  it('goes away', async () => {
    await timed('remove', () => dataplane.remove());
    assert.equal(await dataplane.isPresent(), false);
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { ServiceTable } from '../../src/core/service/service-table.ts';
import { createIptablesDataplane } from '../../src/kernel/dataplane-iptables.ts';
import { createNftablesDataplane } from '../../src/kernel/dataplane-nftables.ts';
import type { Dataplane } from '../../src/kernel/dataplane.ts';
import type { Testbed } from '../../src/sandbox/net/testbed.ts';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { HOSTILE_CASES, hostileObjects, manyEndpoints, type HostileCase } from '../hostile-objects.ts';
import { createTestbed, dataplaneOptions, nodePorts, service, slices } from './iptables-fixture.ts';

type Objects = Pick<HostileCase, 'services' | 'slices'>;

const BATCHES = 12 * Number(process.env['SWITCHYARD_RUNS'] ?? '1');
const SEED = 20_260_101;
const GOOD = ['10.96.0.10', 'fd00:96::10'] as const;
const GOOD_NODE_PORT = 31_002;

const MODES: Readonly<Record<string, (netns: string) => Dataplane>> = {
  nftables: (netns) => createNftablesDataplane({ netns }),
  iptables: (netns) => createIptablesDataplane({ netns }),
};

for (const [mode, makeDataplane] of Object.entries(MODES)) {
  describe(`${mode} mode, told of objects that mean no good`, { timeout: 120_000 }, () => {
    let testbed: Testbed;
    let dataplane: Dataplane;
    const table = new ServiceTable({ nodeName: 'n1', dataplane: dataplaneOptions() });

    before(async () => {
      testbed = await createTestbed();
      dataplane = makeDataplane(testbed.node('n1').netnsPath);
      const good = service('good', GOOD, nodePorts(GOOD_NODE_PORT));
      table.upsertService({ ...good, metadata: { ...good.metadata, creationTimestamp: '2026-04-01T00:00:00Z' } });
      for (const slice of slices('good', testbed.pods)) table.upsertEndpointSlice(slice);
      await dataplane.sync(table.take().snapshot);
    });
    after(async () => {
      dataplane?.close();
      await testbed?.destroy();
    });

    /** The kernel takes it as a change, holds what it should, and the Services of others work. */
    async function follow({ services, slices: endpointSlices = [] }: Objects): Promise<void> {
      for (const each of services) table.upsertService(each);
      for (const each of endpointSlices) table.upsertEndpointSlice(each);
      const { snapshot, changes } = table.take();
      await dataplane.update(snapshot, changes);
      assert.deepEqual(await dataplane.verify(snapshot), []);
    }

    async function assertOthersWork(): Promise<void> {
      const n1 = testbed.node('n1');
      const pod = n1.pods[0] ?? assert.fail();
      for (const address of GOOD) {
        assert.equal((await probe(testbed, pod, { protocol: 'TCP', address, port: 80, count: 4 })).outcome, 'ok');
      }
      const outside = { protocol: 'TCP', address: n1.address, port: GOOD_NODE_PORT, count: 4 } as const;
      const { outcome, backends } = await probe(testbed, testbed.outside, outside);
      assert.equal(outcome, 'ok', JSON.stringify(backends));
    }

    for (const hostile of HOSTILE_CASES) {
      it(`serves the others beside ${hostile.name}`, async () => {
        await follow(hostile);
        await assertOthersWork();
      });
    }

    it('serves the others beside a Service with 5,000 endpoints', async () => {
      await follow(manyEndpoints());
      await assertOthersWork();
      await follow(manyEndpoints({ sessionAffinity: 'ClientIP' }));
      await assertOthersWork();
      const { services, slices: endpointSlices = [] } = manyEndpoints();
      for (const each of services) table.deleteService(each);
      for (const each of endpointSlices) table.deleteEndpointSlice(each);
      await follow({ services: [] });
    });

    it('follows anything in any field, change by change, and as a whole', async () => {
      for (const objects of fc.sample(hostileObjects, { seed: SEED, numRuns: BATCHES })) await follow(objects);
      await assertOthersWork();
      const { snapshot } = table.take();
      assert.equal((await dataplane.sync(snapshot)).written, 0);
    });
  });
}

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { AffinityEntry } from '../../../src/core/service/affinity.ts';
import { listConnections } from '../../../src/kernel/ipvs/connections.ts';
import { Testbed } from '../../../src/sandbox/net/testbed.ts';
import { TrafficServer } from '../../../src/sandbox/traffic/traffic.ts';
import { BACKEND_PORT, service, slices } from '../../kernel/iptables-fixture.ts';
import { IpvsNode } from './ipvs-node.ts';

const CLUSTER_IPS = ['10.96.0.70', 'fd00:96::70'] as const;
const DEADLINE_MS = 60_000;

describe('session affinity in IPVS mode', () => {
  it('follows what another mode has decided of clients that IPVS knows already', async () => {
    await using testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 2 }] });
    const n1 = testbed.node('n1');
    const [one = assert.fail(), two = assert.fail()] = n1.pods;
    for (const pod of n1.pods) await TrafficServer.start(testbed, pod, [{ protocol: 'UDP', port: BACKEND_PORT }]);
    const ipvs = new IpvsNode(testbed);
    const answers = (): Promise<readonly string[]> =>
      Promise.all(
        CLUSTER_IPS.map(async (address) => {
          const { outcome, backends } = await ipvs.probe(n1, 'UDP', [address, 80], 4);
          return outcome === 'ok' ? Object.keys(backends).join(' and ') : outcome;
        }),
      );
    try {
      ipvs.put(service('sticky', CLUSTER_IPS, { sessionAffinity: 'ClientIP' }), slices('sticky', [one, two]));
      await ipvs.sync();
      await ipvs.run('ipvsadm', '--set', '1', '1', '1');
      const before = await answers();
      // What a connection hangs on cannot be changed.
      const deadline = AbortSignal.timeout(DEADLINE_MS);
      const isOver = () => listConnections(n1.netnsPath).every(({ clientPort }) => clientPort === 0);
      while (!isOver()) await pause(100, undefined, { signal: deadline });

      const { snapshot } = ipvs.take();
      const memory = (await ipvs.dataplane.exportAffinity?.(snapshot)) ?? assert.fail();
      assert.equal(memory.entries.length, CLUSTER_IPS.length);
      const moved = memory.entries.map(({ backend: { address, port }, ...entry }): AffinityEntry => {
        const other = [one.address, one.address6].includes(address) ? two : one;
        return { ...entry, backend: { address: address.includes(':') ? other.address6 : other.address, port } };
      });
      assert.deepEqual(await ipvs.dataplane.importAffinity?.(snapshot, moved), { taken: moved.length, leftOut: 0 });
      assert.deepEqual(
        await answers(),
        before.map((name) => (name === one.name ? two.name : one.name)),
      );
    } finally {
      await ipvs.dataplane.remove();
      ipvs.dataplane.close();
    }
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Testbed } from '../../../src/sandbox/net/testbed.ts';
import { probe, TrafficLoad } from '../../../src/sandbox/traffic/traffic.ts';
import { createTestbed, service, slices } from '../../kernel/iptables-fixture.ts';
import { IpvsNode } from './ipvs-node.ts';

const FIRST = '10.96.0.10';
const SECOND = '10.96.0.20';
const SOURCE_PORT = 20_001;
const TIMEOUT_MS = 6_000;
const DEADLINE_MS = 40_000;

describe('limits of IPVS', () => {
  let testbed: Testbed;
  let node: IpvsNode;
  before(async () => {
    testbed = await createTestbed();
    node = new IpvsNode(testbed);
    const endpoint = testbed.node('n2').pods.slice(0, 1);
    node.put(
      service('first', [FIRST, 'fd00:96::10']),
      slices('first', endpoint),
      service('second', [SECOND, 'fd00:96::20']),
      slices('second', endpoint),
    );
    await node.sync();
  });
  after(async () => {
    node?.dataplane.close();
    await testbed?.destroy();
  });

  it('let a connection stall when its client uses the same port to the same endpoint through another Service', async () => {
    const client = testbed.node('n1').pods[0] ?? assert.fail();
    const target = {
      name: 'held',
      protocol: 'TCP',
      address: FIRST,
      port: 80,
      sourcePort: SOURCE_PORT,
      backends: [],
      perSecond: 0,
      held: 1,
    } as const;
    const load = await TrafficLoad.start(testbed, client, {
      targets: [target],
      timeoutMs: TIMEOUT_MS,
      heldIntervalMs: 100,
    });
    const exchanges = async (): Promise<number> => (await load.report()).targets[0]?.heldExchanges ?? 0;
    const until = async (isTrue: () => Promise<boolean>): Promise<void> => {
      const deadline = AbortSignal.timeout(DEADLINE_MS);
      while (!(await isTrue())) await pause(50, undefined, { signal: deadline });
    };
    await until(async () => (await exchanges()) > 3);
    const { outcome } = await probe(testbed, client, {
      protocol: 'TCP',
      address: SECOND,
      port: 80,
      sourcePort: SOURCE_PORT,
      timeoutMs: TIMEOUT_MS,
    });
    assert.equal(outcome, 'ok');
    // Connection tracking gave the second one another port; IPVS, which sees only what came before, goes by the newest.
    const tracked = await node.run('conntrack', '-L', '-p', 'tcp', '-d', SECOND);
    assert.doesNotMatch(tracked, new RegExp(`sport=8080 .*dport=${SOURCE_PORT} `));
    await until(async () => (await load.report()).failures.length > 0);
    const { failures } = await load.stop();
    assert.equal(failures[0]?.outcome, 'broken-flow');
  });
});

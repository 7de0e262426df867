import assert from 'node:assert/strict';
import type { EndpointSlice, Service } from '../../src/core/kubernetes.ts';
import type { Host, Testbed } from '../../src/sandbox/net/testbed.ts';
import { TrafficLoad } from '../../src/sandbox/traffic/traffic.ts';
import { service, slices } from './iptables-fixture.ts';

const VIP = '192.0.2.30';
const ADDRESSES = ['10.96.0.30', 'fd00:96::30', VIP];
const TIMEOUT_MS = 2_500;

export interface Flips {
  readonly count: number;
  /** Packets for each of six targets and each protocol. */
  readonly perSecond: number;
  /** A datagram that meets no rule is never answered. */
  readonly timeoutMs?: number;
  readonly protocols?: readonly ('TCP' | 'UDP')[];
}

export interface FlippedNode {
  put(...objects: readonly (Service | readonly EndpointSlice[])[]): unknown;
  sync(): Promise<unknown>;
  update(): Promise<unknown>;
}

/**
 * Takes all endpoints of a Service away and gives them back, again and again, under load from a pod and from the node: what is
 * sent is answered by an endpoint or refused at once, at any moment.
 */
export async function flipEndpoints(testbed: Testbed, node: FlippedNode, flips: Flips): Promise<void> {
  const [own, client] = testbed.node('n1').pods;
  const [remote] = testbed.node('n2').pods;
  assert.ok(own !== undefined && client !== undefined && remote !== undefined);
  node.put(service('flips', ADDRESSES.slice(0, 2), { type: 'LoadBalancer' }, [VIP]), slices('flips', [own, remote]));
  await node.sync();
  const loads = await Promise.all([client, testbed.node('n1')].map((host) => startLoad(testbed, host, flips)));
  for (let flip = 0; flip < flips.count; flip += 1) {
    node.put(slices('flips', []));
    await node.update();
    node.put(slices('flips', [own, remote]));
    await node.update();
  }
  for (const load of loads) {
    const { targets } = await load.stop();
    for (const { name, attempts, outcomes } of targets) {
      // Where the node itself is refused a datagram, it hears so from sendmsg.
      const told = outcomes.ok + outcomes.refused + outcomes.unreachable;
      assert.equal(told, attempts, `${name}: ${JSON.stringify(outcomes)}`);
      assert.ok(outcomes.ok > 0, `${name}: nobody ever answered`);
    }
  }
}

function startLoad(testbed: Testbed, from: Host, flips: Flips): Promise<TrafficLoad> {
  const { perSecond, timeoutMs = TIMEOUT_MS, protocols = ['TCP', 'UDP'] } = flips;
  const targets = protocols.flatMap((protocol) =>
    ADDRESSES.map((address) => ({
      name: `${protocol} from ${from.name} to ${address}`,
      ...{ protocol, address, port: 80, backends: [], perSecond, held: 0 },
    })),
  );
  return TrafficLoad.start(testbed, from, { targets, timeoutMs, heldIntervalMs: timeoutMs });
}

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Host } from '../../src/sandbox/net/testbed.ts';
import { TrafficLoad, type LoadTarget } from '../../src/sandbox/traffic/traffic.ts';
import { AgentGround, eventually } from './agent-ground.ts';

const STICKY_IP = '10.96.0.12';
const STICKY_PORT = 30081;
const SWITCHES = 10;
/** Of each client after each change. */
const CONNECTIONS = 5;

describe('session affinity while the agent switches', { timeout: 120_000 }, () => {
  it('every client keeps its backend, under load', async () => {
    const ground = await AgentGround.create();
    try {
      await ground.createService('sticky', {
        type: 'NodePort',
        clusterIP: STICKY_IP,
        sessionAffinity: 'ClientIP',
        ports: (['TCP', 'UDP'] as const).map((protocol) => ({
          name: protocol.toLowerCase(),
          protocol,
          port: 80,
          nodePort: STICKY_PORT,
        })),
      });
      await ground.setEndpoints(ground.testbed.pods, 'sticky');
      await ground.setMode('iptables');
      ground.startAgent();
      await ground.untilServing('iptables');

      const start = (from: Host, address: string, port: number): Promise<TrafficLoad> =>
        TrafficLoad.start(ground.testbed, from, {
          timeoutMs: 3_000,
          heldIntervalMs: 50,
          targets: (['TCP', 'UDP'] as const).map((protocol): LoadTarget => ({
            name: `${from.name} ${protocol} ${address}`,
            protocol,
            address,
            port,
            backends: ground.testbed.pods.map((pod) => pod.name),
            perSecond: 40,
            held: 0,
          })),
        });
      const loads = await Promise.all([
        ...ground.node.pods.map((pod) => start(pod, STICKY_IP, 80)),
        start(ground.node, STICKY_IP, 80),
        start(ground.testbed.outside, ground.node.address, STICKY_PORT),
      ]);
      const answers = async (): Promise<number[]> => {
        const reports = await Promise.all(loads.map((load) => load.report()));
        return reports.flatMap(({ targets }) => targets.map(({ outcomes }) => outcomes.ok));
      };
      for (let index = 1; index <= SWITCHES; index += 1) {
        const mode = index % 2 === 1 ? 'nftables' : 'iptables';
        await ground.setMode(mode);
        await ground.untilServing(mode);
        const before = await answers();
        await eventually(`each client is answered in ${mode} mode`, async () => {
          const now = await answers();
          return now.every((count, at) => count >= (before[at] ?? 0) + CONNECTIONS) ? true : undefined;
        });
      }
      for (const load of loads) {
        const { targets, failures } = await load.stop();
        assert.deepEqual(failures, []);
        for (const { name, backends } of targets) {
          assert.equal(Object.keys(backends).length, 1, `${name}: ${JSON.stringify(backends)}`);
        }
      }
    } finally {
      await ground.destroy();
    }
  });
});

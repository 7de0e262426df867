import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Host } from '../../src/sandbox/net/testbed.ts';
import { AgentGround, eventually } from './agent-ground.ts';
import { getInside, type Answer } from './http-inside.ts';

const TIMEOUT_MS = 120_000;
const HEALTH_PORT = 32_000;

describe('health check ports of Services under a real agent', { timeout: TIMEOUT_MS }, () => {
  let ground: AgentGround;
  before(async () => {
    ground = await AgentGround.create();
    await ground.setMode('nftables');
    ground.startAgent();
    await ground.untilServing('nftables');
  });
  after(() => ground.destroy());

  const service = (healthCheckNodePort: number) =>
    ground.createService('lb', {
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      clusterIP: '10.96.0.40',
      healthCheckNodePort,
    });

  /** What a load balancer outside sees. */
  const ask = (port = HEALTH_PORT, from: Host = ground.testbed.outside) =>
    getInside(from, port, '/healthz', ground.node.address);

  const until = (what: string, look: (answer: Answer | undefined) => boolean) =>
    eventually(what, async () => (look(await ask()) ? true : undefined));

  it('follow the ready endpoints of the node', async () => {
    await service(HEALTH_PORT);
    await ground.setEndpoints(ground.testbed.pods, 'lb');
    await until(
      'both pods of the node are counted',
      (answer) => answer?.status === 200 && answer.body.includes(': 2,'),
    );
    await ground.setEndpoints(ground.testbed.pods, 'lb', { ready: false, serving: true, terminating: true });
    await until('load balancers are told to leave', (answer) => answer?.status === 503);
    await ground.setEndpoints(ground.testbed.pods.slice(2), 'lb');
    await until('pods elsewhere do not count', (answer) => answer?.status === 503 && answer.body.includes(': 0,'));
    await ground.remove('/api/v1/namespaces/default/services/lb');
    await until('nobody listens', (answer) => answer === undefined);
  });

  it('come with an event that says on the Node that the agent started', async () => {
    const path = '/apis/events.k8s.io/v1/namespaces/default/events';
    const { items } = (await ground.client.get(path)) as { items: { reason: string; regarding: object }[] };
    const started = items.filter(({ reason }) => reason === 'Starting');
    const { metadata } = (await ground.client.get('/api/v1/nodes/n1')) as { metadata: { uid: string } };
    assert.partialDeepStrictEqual(
      started.map(({ regarding }) => regarding),
      [{ kind: 'Node', name: 'n1', uid: metadata.uid }],
    );
  });

  it('say on the Service that a port is taken', async () => {
    await service(10_256);
    const path = '/apis/events.k8s.io/v1/namespaces/default/events';
    const event = await eventually('an event', async () => {
      const { items } = (await ground.client.get(path)) as { items: { reason: string; regarding: { name: string } }[] };
      return items.find(({ reason }) => reason === 'FailedToStartServiceHealthcheck');
    });
    assert.equal(event.regarding.name, 'lb');
    await ground.remove('/api/v1/namespaces/default/services/lb');
  });
});

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { AgentGround, CLUSTER_IP, eventually } from './agent-ground.ts';

/** ClusterIP of the Service `kubernetes`. */
const API_CLUSTER_IP = '10.96.0.1';

/** The kubelet's part: a service account's files, in a mount namespace of the agent's own. */
const MOUNT = `mount -t tmpfs none /run &&
  mkdir -p /run/secrets/kubernetes.io/serviceaccount &&
  cp "$0/ca.crt" "$0/token" /run/secrets/kubernetes.io/serviceaccount/ &&
  exec "$@"`;

describe('an agent that knows the API server by its ClusterIP only', { timeout: 120_000 }, () => {
  let ground: AgentGround;

  before(async () => {
    ground = await AgentGround.create();
    const { server, testbed } = ground;
    await writeFile(ground.path('ca.crt'), server.caPem);
    await writeFile(ground.path('token'), server.adminToken);
    await ground.apply('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes', {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [testbed.fabric.address] }],
      ports: [{ name: 'https', protocol: 'TCP', port: 6443 }],
    });
  });
  after(() => ground?.destroy());

  const startInCluster = () => {
    const environment = [`KUBERNETES_SERVICE_HOST=${API_CLUSTER_IP}`, 'KUBERNETES_SERVICE_PORT=443'];
    const wrapper = ['env', ...environment, 'unshare', '--mount', 'sh', '-c', MOUNT, ground.folder];
    ground.startAgent({ wrapper, inCluster: true });
  };
  const reach = async () => {
    const target = { protocol: 'TCP', address: CLUSTER_IP, port: 80, timeoutMs: 500 } as const;
    return (await probe(ground.testbed, ground.node, target)).outcome;
  };
  const untilHealthy = () =>
    eventually('the agent has heard from the API server', async () =>
      (await ground.get(10256, '/healthz'))?.status === 200 ? true : undefined,
    );

  it('reaches it by the rules of its last life, or by its copy of them on disk', async () => {
    await ground.setMode('nftables');
    ground.startAgent();
    await ground.untilServing('nftables');
    await ground.endAgent('SIGTERM');

    startInCluster();
    await untilHealthy();
    await ground.endAgent('SIGTERM');

    // A reboot leaves a node its disk.
    await ground.testbed.exec(ground.node, ['nft', 'flush', 'ruleset']);
    assert.notEqual(await reach(), 'ok');
    startInCluster();
    await untilHealthy();
    assert.equal(await reach(), 'ok');
    await ground.setEndpoints([]);
    await eventually('a change is followed', async () => ((await reach()) === 'refused' ? true : undefined));
    await ground.setEndpoints(ground.testbed.pods);
    await eventually('and another', async () => ((await reach()) === 'ok' ? true : undefined));
    await ground.endAgent('SIGTERM');
  });
});

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { probe, TrafficLoad } from '../../src/sandbox/traffic/traffic.ts';
import type { Host } from '../../src/sandbox/net/testbed.ts';
import { AgentGround, CLUSTER_IP, eventually, NODE_PORT } from './agent-ground.ts';

const TIMEOUT_MS = 120_000;
const LOCALHOST = '127.0.0.1';
const HEIR_IP = '10.96.0.77';
const FLOWS = 3;

describe('addresses of a node under a real agent', { timeout: TIMEOUT_MS }, () => {
  let ground: AgentGround;

  before(async () => {
    ground = await AgentGround.create();
    const { testbed, node } = ground;
    await testbed.route(testbed.outside, '10.96.0.0/12', node);
  });
  after(() => ground?.destroy());

  beforeEach(async () => {
    await ground.setMode('nftables');
    ground.startAgent();
    await ground.untilServing('nftables');
  });
  afterEach(() => ground.endAgent('SIGTERM'));

  const reach = async (address: string, port: number, from: Host = ground.node) => {
    const { outcome } = await probe(ground.testbed, from, { protocol: 'TCP', address, port, timeoutMs: 500 });
    return outcome;
  };
  const untilReach = (what: string, outcome: string, look: () => Promise<string>) =>
    eventually(what, async () => ((await look()) === outcome ? true : undefined));
  const routeLocalnet = async () =>
    (await ground.testbed.exec(ground.node, ['cat', '/proc/sys/net/ipv4/conf/all/route_localnet'])).stdout.trim();

  it('serve NodePorts on localhost through switches, until the profile says no', async () => {
    assert.equal(await reach(LOCALHOST, NODE_PORT), 'ok');
    const load = await TrafficLoad.start(ground.testbed, ground.node, {
      targets: (['TCP', 'UDP'] as const).map((protocol) => ({
        name: protocol,
        protocol,
        address: LOCALHOST,
        port: NODE_PORT,
        backends: ground.testbed.pods.map(({ name }) => name),
        perSecond: 20,
        held: FLOWS,
      })),
      timeoutMs: 3_000,
      heldIntervalMs: 50,
    });
    for (const mode of ['iptables', 'nftables'] as const) {
      await ground.setMode(mode);
      await ground.untilServing(mode);
    }
    const { targets, failures } = await load.stop();
    assert.deepEqual(failures, []);
    for (const { attempts, outcomes } of targets) assert.equal(outcomes.ok, attempts);

    await ground.setProfile({ mode: 'nftables', localhostNodePorts: false });
    await untilReach('nobody answers on localhost', 'refused', () => reach(LOCALHOST, NODE_PORT));
    assert.equal(await routeLocalnet(), '0');
    assert.equal(await reach(ground.node.address, NODE_PORT), 'ok');
  });

  it('answer on NodePorts from the moment that the node has them, where the list says so', async () => {
    const { testbed, node } = ground;
    const added = '172.18.0.78';
    await ground.setProfile({ mode: 'nftables', nodePortAddresses: [`${added}/31`] });
    await untilReach('the address of before is not in the list', 'refused', () => reach(node.address, NODE_PORT));
    await testbed.exec(node, ['ip', 'addr', 'add', `${added}/32`, 'dev', 'eth0']);
    await untilReach('a new address answers', 'ok', () => reach(added, NODE_PORT, testbed.outside));
    await testbed.exec(node, ['ip', 'addr', 'del', `${added}/32`, 'dev', 'eth0']);
  });

  it('are left to whoever a label names, and follow a slice to another Service', async () => {
    const web = '/api/v1/namespaces/default/services/web';
    const slice = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-1';
    const label = (kind: string, apiVersion: string, name: string, labels: object) => ({
      ...{ kind, apiVersion },
      metadata: { name, namespace: 'default', labels },
    });
    const other = { 'service.kubernetes.io/service-proxy-name': 'other' };
    await ground.client.apply(web, label('Service', 'v1', 'web', other), 'labels');
    await untilReach('it is another proxy’s', 'refused', () => reach(ground.node.address, NODE_PORT));
    await ground.client.apply(web, label('Service', 'v1', 'web', {}), 'labels');
    await untilReach('it came back', 'ok', () => reach(ground.node.address, NODE_PORT));

    await ground.createService('heir', { clusterIP: HEIR_IP });
    await untilReach('a Service without endpoints', 'refused', () => reach(HEIR_IP, 80));
    const moved = label('EndpointSlice', 'discovery.k8s.io/v1', 'web-1', { 'kubernetes.io/service-name': 'heir' });
    await ground.client.apply(slice, { ...moved, addressType: 'IPv4' }, 'labels');
    await untilReach('the slice’s new Service answers', 'ok', () => reach(HEIR_IP, 80));
    await untilReach('its old one has no endpoints', 'refused', () => reach(CLUSTER_IP, 80));
    await ground.setEndpoints(ground.testbed.pods);
    await untilReach('until it has it back', 'ok', () => reach(CLUSTER_IP, 80));
  });

  it('are counted for a Service that asks for it, through a switch, and not after --cleanup', async () => {
    const path = '/api/v1/namespaces/default/services/web';
    const metadata = { name: 'web', namespace: 'default', annotations: { 'switchyard.dev/metrics': 'true' } };
    await ground.client.apply(path, { apiVersion: 'v1', kind: 'Service', metadata }, 'metrics');
    const series = /^switchyard_service_connections_total\{.*service="web",port="tcp".*\} (\d+)$/m;
    const connections = async () => series.exec((await ground.get(10249, '/metrics'))?.body ?? '')?.[1];
    const before = Number(await eventually('the Service is counted', connections));
    for (const mode of ['iptables', 'nftables'] as const) {
      assert.equal(await reach(CLUSTER_IP, 80), 'ok');
      await ground.setMode(mode);
      await ground.untilServing(mode);
    }
    assert.equal(await connections(), String(before + 2));
    await ground.endAgent('SIGTERM');
    await ground.testbed.exec(ground.node, [
      'bin/switchyard',
      'agent',
      '--cleanup',
      '--state-dir',
      ground.path('state'),
    ]);
    assert.deepEqual(
      (await ground.nftTables()).filter((name) => name.startsWith('switchyard')),
      [],
    );
  });

  it('drop what nobody has in the Service CIDRs, as they are now', async () => {
    const { testbed } = ground;
    const unallocated = { known: '10.96.255.1', added: '10.97.0.1' };
    const from = (address: string) => () => reach(address, 80, testbed.outside);
    const elsewhere = testbed.node('n2');
    await testbed.exec(elsewhere, ['ip', 'addr', 'add', unallocated.added, 'dev', 'lo']);
    await testbed.route(ground.node, '10.97.0.0/16', elsewhere);
    assert.equal(await from(unallocated.known)(), 'timed-out');
    assert.equal(await from(unallocated.added)(), 'refused');
    const path = '/apis/networking.k8s.io/v1/servicecidrs/more';
    const body = { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', metadata: { name: 'more' } };
    await ground.apply(path, { ...body, spec: { cidrs: ['10.97.0.0/16'] } });
    await untilReach('the new CIDR is followed', 'timed-out', from(unallocated.added));
    await ground.remove(path);
    await untilReach('it is forgotten', 'refused', from(unallocated.added));
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Host, Testbed } from '../../../src/sandbox/net/testbed.ts';
import { createTestbed, nodePorts, service, slices } from '../../kernel/iptables-fixture.ts';
import { IpvsNode, type Target } from './ipvs-node.ts';

describe('Services in IPVS mode', () => {
  let testbed: Testbed;
  let node: IpvsNode;
  before(async () => {
    testbed = await createTestbed();
    node = new IpvsNode(testbed);
    const spec = { ...nodePorts(30080), type: 'LoadBalancer', externalIPs: ['192.0.2.20'] };
    node.put(
      service('web', ['10.96.0.10', 'fd00:96::10'], spec, ['192.0.2.10']),
      slices(
        'web',
        [testbed.node('n1'), testbed.node('n2')].flatMap(({ pods }) => pods.slice(0, 1)),
      ),
      service('empty', ['10.96.0.11', 'fd00:96::11'], { ...nodePorts(30081), externalIPs: ['192.0.2.21'] }),
    );
    await node.sync();
  });
  after(() => testbed?.destroy());

  const clients = (): Record<string, Host> => ({
    pod: testbed.node('n1').pods[1] ?? assert.fail(),
    node: testbed.node('n1'),
    outside: testbed.outside,
  });
  const targets = (): Record<string, Target> => ({
    'the ClusterIP': ['10.96.0.10', 80],
    'the ClusterIP over IPv6': ['fd00:96::10', 80],
    'the NodePort': [testbed.node('n1').address, 30080],
    'the NodePort over IPv6': [testbed.node('n1').address6, 30080],
    'the load balancer VIP': ['192.0.2.10', 80],
    'the external IP': ['192.0.2.20', 80],
  });

  for (const protocol of ['TCP', 'UDP'] as const) {
    for (const from of ['pod', 'node', 'outside']) {
      it(`spread ${protocol} connections from ${from} over all endpoints`, async () => {
        const found: Record<string, unknown> = {};
        for (const [name, target] of Object.entries(targets())) {
          const result = await node.probe(clients()[from] ?? assert.fail(), protocol, target, 4);
          found[name] = result.outcome === 'ok' ? Object.keys(result.backends).sort().join() : result.outcomes;
        }
        assert.deepEqual(found, Object.fromEntries(Object.keys(targets()).map((name) => [name, 'n1-p1,n2-p1'])));
      });
    }
  }

  it('refuse connections to a Service without endpoints, from everywhere', async () => {
    const found: Record<string, string> = {};
    for (const [from, host] of Object.entries(clients())) {
      for (const target of [
        ['10.96.0.11', 80],
        ['fd00:96::11', 80],
        [testbed.node('n1').address, 30081],
        ['192.0.2.21', 80],
      ] as const) {
        found[`${from} ${target[0]}`] = await node.outcome(host, target);
      }
    }
    assert.deepEqual([...new Set(Object.values(found))], ['refused'], JSON.stringify(found));
  });

  it('refuse ports of a VIP that no Service has, and leave those of the node alone', async () => {
    const found: Record<string, string> = {};
    for (const [from, host] of Object.entries(clients())) {
      found[from] = await node.outcome(host, ['10.96.0.10', 8081]);
    }
    assert.deepEqual(found, { pod: 'refused', node: 'refused', outside: 'refused' });
  });

  it('let a pod reach itself', async () => {
    const own = testbed.node('n1').pods[0] ?? assert.fail();
    for (const address of ['10.96.0.10', 'fd00:96::10']) {
      const result = await node.probe(own, 'TCP', [address, 80], 6);
      assert.equal(result.outcome, 'ok', address);
      assert.deepEqual(Object.keys(result.backends).sort(), ['n1-p1', 'n2-p1']);
    }
  });

  it('give a node process the node’s own address as source', async () => {
    const route = await node.run('ip', 'route', 'get', '10.96.0.10');
    assert.match(route, new RegExp(`src ${testbed.node('n1').address.replaceAll('.', '\\.')} `));
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServicePort } from '../../../../src/core/service/snapshot.ts';
import { missingVips, servedByIptables, wantedVips } from '../../../../src/plan/kube-proxy/completeness.ts';
import { parseTables } from '../../../../src/plan/kube-proxy/rules.ts';

const backend = { address: '10.0.0.1', port: 8080, isLocal: true };
const port = (over: Partial<ServicePort>): ServicePort => ({
  key: 'default/web:/TCP@IPv4',
  namespace: 'default',
  name: 'web',
  portName: '',
  family: 'IPv4',
  protocol: 'TCP',
  port: 80,
  clusterIP: '10.96.0.1',
  nodePort: 0,
  externalIPs: [],
  loadBalancerVIPs: [],
  loadBalancerSourceRanges: [],
  internalLocal: false,
  externalLocal: false,
  affinitySeconds: 0,
  scheduler: 'random',
  healthCheckNodePort: 0,
  clusterBackends: [backend],
  localBackends: [backend],
  hasEndpoints: true,
  flowBackends: [],
  readyLocalAddresses: [],
  ...over,
});
const wanted = (...ports: ServicePort[]) =>
  wantedVips(new Map(ports.map((each, index) => [String(index), each])), 'IPv4');

const WHOLE = `*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-EXT-A -j KUBE-SVC-A
-A KUBE-NODEPORTS -p tcp -m comment --comment "default/web" -m tcp --dport 30080 -j KUBE-EXT-A
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-A
-A KUBE-SERVICES -d 10.96.0.2/32 -p udp -m udp --dport 53 -j KUBE-SVC-EMPTY
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-A -j KUBE-SEP-A
COMMIT
`;

describe('whether kube-proxy serves', () => {
  it('asks for each ClusterIP and node port that has somewhere to go', () => {
    const none = { clusterBackends: [], localBackends: [], hasEndpoints: false };
    assert.deepEqual(
      wanted(
        port({ nodePort: 30080 }),
        port({ clusterIP: '10.96.0.3', ...none }),
        port({ clusterIP: '10.96.0.4', internalLocal: true, localBackends: [] }),
        port({ family: 'IPv6', clusterIP: 'fd00::1' }),
      ),
      ['TCP 10.96.0.1 80', 'TCP  30080'],
    );
  });

  it('finds both in its nat table, and nothing in a chain without rules', () => {
    assert.deepEqual([...servedByIptables(parseTables(WHOLE))].sort(), ['TCP  30080', 'TCP 10.96.0.1 80']);
  });

  for (const way of ['PREROUTING', 'OUTPUT', 'POSTROUTING']) {
    it(`finds nothing while the way from ${way} is missing`, () => {
      const text = WHOLE.replace(new RegExp(`-A ${way} .*\n`), '');
      assert.equal(servedByIptables(parseTables(text)).size, 0);
    });
  }

  it('counts the mechanism that has most', () => {
    assert.deepEqual(missingVips(['a', 'b'], [new Set(['a']), new Set(['a', 'b'])]), []);
    assert.deepEqual(missingVips(['a', 'b'], [new Set(), new Set(['a'])]), ['b']);
    assert.deepEqual(missingVips([], []), []);
  });
});

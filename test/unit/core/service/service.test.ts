import type { ServicePortSpec } from '../../../../src/core/service/snapshot.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Service } from '../../../../src/core/kubernetes.ts';
import { parseService } from '../../../../src/core/service/service.ts';
import { service } from '../api-objects.ts';

const DUAL = { clusterIP: '172.30.0.1', clusterIPs: ['172.30.0.1', 'fd00::1'] };
const ingress = (...list: readonly object[]): Omit<Service, 'spec'> => ({
  status: { loadBalancer: { ingress: list } },
});

const scheduledBy = (word: string): Service =>
  service('a', {}, { metadata: { annotations: { 'switchyard.dev/scheduler': word } } });

/** Only the fields that a case is about. */
function ports(object: Service, ...fields: readonly (keyof ServicePortSpec)[]): readonly Partial<ServicePortSpec>[] {
  return parseService(object).ports.map((port) => Object.fromEntries(fields.map((field) => [field, port[field]])));
}

describe('parseService: which Services are served', () => {
  const cases: readonly (readonly [name: string, object: Service, keys: readonly string[]])[] = [
    ['one port', service('a'), ['ns/a:/TCP@IPv4']],
    ['no ports', service('a', { ports: [] }), []],
    ['ports are null', service('a', { ports: null }), []],
    ['no spec', { metadata: { namespace: 'ns', name: 'a' } }, []],
    ['headless', service('a', { clusterIP: 'None' }), []],
    ['no ClusterIP yet', service('a', { clusterIP: '' }), []],
    ['ExternalName, even with addresses', service('a', { type: 'ExternalName', externalIPs: ['9.9.9.9'] }), []],
    [
      'another proxy serves it',
      service('a', {}, { metadata: { labels: { 'service.kubernetes.io/service-proxy-name': '' } } }),
      [],
    ],
    [
      'ports with one number and several protocols',
      service('a', {
        ports: [
          { name: 'x', protocol: 'UDP', port: 53 },
          { name: 'y', protocol: 'TCP', port: 53 },
          { name: 'z', protocol: 'SCTP', port: 53 },
        ],
      }),
      ['ns/a:x/UDP@IPv4', 'ns/a:y/TCP@IPv4', 'ns/a:z/SCTP@IPv4'],
    ],
    ['both families', service('a', DUAL), ['ns/a:/TCP@IPv4', 'ns/a:/TCP@IPv6']],
    [
      'the second family first',
      service('a', { clusterIP: 'fd00::1', clusterIPs: ['fd00::1', '172.30.0.1'] }),
      ['ns/a:/TCP@IPv4', 'ns/a:/TCP@IPv6'],
    ],
    ['only IPv6', service('a', { clusterIP: 'fd00::1' }), ['ns/a:/TCP@IPv6']],
    [
      'a NodePort of a family without ClusterIP is not served',
      service('a', { ports: [{ port: 80, nodePort: 30080 }], externalIPs: ['fd00::9'] }),
      ['ns/a:/TCP@IPv4'],
    ],
  ];
  for (const [name, object, keys] of cases) {
    it(name, () =>
      assert.deepEqual(
        parseService(object).ports.map((port) => port.key),
        keys,
      ),
    );
  }
});

describe('parseService: fields', () => {
  const lb = { type: 'LoadBalancer', ...DUAL };
  const cases: readonly {
    readonly name: string;
    readonly object: Service;
    readonly expected: readonly Partial<ServicePortSpec>[];
  }[] = [
    {
      name: 'addresses are canonical',
      object: service('a', { clusterIP: '172.30.0.041' }),
      expected: [{ clusterIP: '172.30.0.41' }],
    },
    {
      name: 'external IPs by family, sorted, once',
      object: service('a', { ...DUAL, externalIPs: ['9.9.9.9', 'fd00::9', '8.8.8.8', '009.9.9.9'] }),
      expected: [{ externalIPs: ['8.8.8.8', '9.9.9.9'] }, { externalIPs: ['fd00::9'] }],
    },
    {
      name: 'load balancer VIPs by family; host names are none',
      object: service('a', lb, ingress({ ip: '1.2.3.4' }, { hostname: 'lb.example' }, { ip: 'fd00::4' }, { ip: '' })),
      expected: [{ loadBalancerVIPs: ['1.2.3.4'] }, { loadBalancerVIPs: ['fd00::4'] }],
    },
    {
      name: 'ipMode VIP or none is captured, Proxy is not',
      object: service(
        'a',
        { type: 'LoadBalancer' },
        ingress({ ip: '1.1.1.1', ipMode: 'VIP' }, { ip: '2.2.2.2', ipMode: 'Proxy' }, { ip: '3.3.3.3', ipMode: null }),
      ),
      expected: [{ loadBalancerVIPs: ['1.1.1.1', '3.3.3.3'] }],
    },
    {
      name: 'source ranges are trimmed, canonical and by family',
      object: service('a', { ...lb, loadBalancerSourceRanges: [' 203.0.113.7/025 ', '\tfd00::1/64\n'] }),
      expected: [{ loadBalancerSourceRanges: ['203.0.113.0/25'] }, { loadBalancerSourceRanges: ['fd00::/64'] }],
    },
    {
      name: 'a range of everybody lifts the restriction of its family only',
      object: service('a', { ...lb, loadBalancerSourceRanges: ['203.0.113.0/24', '0.0.0.0/0', 'fd00::/64'] }),
      expected: [{ loadBalancerSourceRanges: [] }, { loadBalancerSourceRanges: ['fd00::/64'] }],
    },
    {
      name: 'ranges of one family leave the other unrestricted',
      object: service('a', { ...lb, loadBalancerSourceRanges: ['203.0.113.0/24'] }),
      expected: [{ loadBalancerSourceRanges: ['203.0.113.0/24'] }, { loadBalancerSourceRanges: [] }],
    },
    {
      name: 'affinity with its default timeout',
      object: service('a', { sessionAffinity: 'ClientIP' }),
      expected: [{ affinitySeconds: 10800 }],
    },
    {
      name: 'affinity with a timeout',
      object: service('a', { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } } }),
      expected: [{ affinitySeconds: 5 }],
    },
    {
      name: 'no affinity, whatever the config says',
      object: service('a', { sessionAffinity: 'None', sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } } }),
      expected: [{ affinitySeconds: 0 }],
    },
    { name: 'no scheduler', object: service('a'), expected: [{ scheduler: 'random' }] },
    { name: 'scheduler sh', object: scheduledBy('sh'), expected: [{ scheduler: 'sourceHash' }] },
    { name: 'scheduler mh', object: scheduledBy('mh'), expected: [{ scheduler: 'sourceHash', ipvsScheduler: 'mh' }] },
    {
      name: 'scheduler mh-port',
      object: scheduledBy('mh-port'),
      expected: [{ scheduler: 'sourcePortHash', ipvsScheduler: 'mh' }],
    },
    { name: 'scheduler of IPVS', object: scheduledBy('lc'), expected: [{ scheduler: 'random', ipvsScheduler: 'lc' }] },
    { name: 'scheduler sh-port', object: scheduledBy('sh-port'), expected: [{ scheduler: 'sourcePortHash' }] },
    {
      name: 'policies default to Cluster',
      object: service('a'),
      expected: [{ internalLocal: false, externalLocal: false }],
    },
    {
      name: 'internal Local',
      object: service('a', { internalTrafficPolicy: 'Local' }),
      expected: [{ internalLocal: true }],
    },
    {
      name: 'external Local means nothing without an external address',
      object: service('a', { externalTrafficPolicy: 'Local' }),
      expected: [{ externalLocal: false }],
    },
    {
      name: 'external Local with an external IP',
      object: service('a', { externalTrafficPolicy: 'Local', externalIPs: ['9.9.9.9'] }),
      expected: [{ externalLocal: true }],
    },
    {
      name: 'external Local with a NodePort, on any type',
      object: service('a', { externalTrafficPolicy: 'Local', ports: [{ port: 80, nodePort: 30080 }] }),
      expected: [{ externalLocal: true, nodePort: 30080 }],
    },
    {
      name: 'a load balancer without NodePorts',
      object: service('a', { type: 'LoadBalancer', ports: [{ port: 80 }] }, ingress({ ip: '1.2.3.4' })),
      expected: [{ nodePort: 0, loadBalancerVIPs: ['1.2.3.4'] }],
    },
    {
      name: 'the health check port of a Local load balancer',
      object: service('a', { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30000 }),
      expected: [{ healthCheckNodePort: 30000 }],
    },
    {
      name: 'no health check port under policy Cluster',
      object: service('a', { type: 'LoadBalancer', externalTrafficPolicy: 'Cluster', healthCheckNodePort: 30000 }),
      expected: [{ healthCheckNodePort: 0 }],
    },
    {
      name: 'no health check port on another type',
      object: service('a', { type: 'NodePort', externalTrafficPolicy: 'Local', healthCheckNodePort: 30000 }),
      expected: [{ healthCheckNodePort: 0 }],
    },
  ];
  for (const { name, object, expected } of cases) {
    it(name, () => {
      const fields = Object.keys(expected[0] ?? {}) as (keyof ServicePortSpec)[];
      assert.deepEqual(ports(object, ...fields), expected);
    });
  }
});

describe('parseService: what cannot be used is reported with its path and left out', () => {
  const cases: readonly {
    readonly name: string;
    readonly object: Service;
    readonly paths: readonly string[];
    readonly expected: readonly Partial<ServicePortSpec>[];
  }[] = [
    { name: 'a ClusterIP', object: service('a', { clusterIP: '1.2.3' }), paths: ['spec.clusterIPs[0]'], expected: [] },
    {
      name: 'one external IP of two',
      object: service('a', { externalIPs: ['9.9.9.9', 'nine'] }),
      paths: ['spec.externalIPs[1]'],
      expected: [{ externalIPs: ['9.9.9.9'] }],
    },
    {
      name: 'one load balancer IP of two',
      object: service('a', {}, ingress({ ip: 'x' }, { ip: '1.2.3.4' })),
      paths: ['status.loadBalancer.ingress[0].ip'],
      expected: [{ loadBalancerVIPs: ['1.2.3.4'] }],
    },
    {
      name: 'one source range of two',
      object: service('a', { loadBalancerSourceRanges: ['10.0.0.0/8', '10.0.0.0/40'] }),
      paths: ['spec.loadBalancerSourceRanges[1]'],
      expected: [{ loadBalancerSourceRanges: ['10.0.0.0/8'] }],
    },
    {
      name: 'a scheduler that nobody knows',
      object: scheduledBy('toString'),
      paths: ['metadata.annotations[switchyard.dev/scheduler]'],
      expected: [{ scheduler: 'random' }],
    },
    {
      name: 'ports: number, protocol, repeated name, NodePort',
      object: service('a', {
        ports: [
          { name: 'a', port: 0 },
          { name: 'b', protocol: 'ICMP', port: 1 },
          { name: 'c', port: 1 },
          { name: 'c', port: 2 },
          { name: 'd', port: 3, nodePort: 70000 },
        ],
      }),
      paths: ['spec.ports[0].port', 'spec.ports[1].protocol', 'spec.ports[3].name', 'spec.ports[4].nodePort'],
      expected: [
        { port: 1, nodePort: 0 },
        { port: 3, nodePort: 0 },
      ],
    },
  ];
  for (const { name, object, paths, expected } of cases) {
    it(name, () => {
      const { problems } = parseService(object);
      assert.deepEqual(
        problems.map((problem) => [problem.object, problem.path]),
        paths.map((path) => ['Service ns/a', path]),
      );
      const fields = Object.keys(expected[0] ?? {}) as (keyof ServicePortSpec)[];
      assert.deepEqual(ports(object, ...fields), expected);
    });
  }
});

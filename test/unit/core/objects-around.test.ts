import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Service } from '../../../src/core/kubernetes.ts';
import { objectsAround } from '../../../src/core/objects-around.ts';

const service = (name: string, spec: Service['spec']): Service => ({ metadata: { name, namespace: 'shop' }, spec });
const slice = (of: string) => ({
  metadata: { name: `${of}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': of } },
  addressType: 'IPv4',
  endpoints: [],
  ports: [],
});

const SERVICES = [
  service('web', { clusterIP: '10.96.0.1', ports: [{ port: 80, nodePort: 30_080 }] }),
  service('mail', { clusterIP: '10.96.0.2', ports: [{ port: 25 }] }),
  service('claims-address', { clusterIP: '10.96.0.3', externalIPs: ['10.96.0.1'], ports: [{ port: 81 }] }),
  service('claims-port', { clusterIP: '10.96.0.4', ports: [{ port: 82, nodePort: 30_080 }] }),
];
const OBJECTS = {
  services: SERVICES,
  endpointSlices: SERVICES.map(({ metadata }) => slice(metadata?.name ?? '')),
  serviceCIDRs: ['10.96.0.0/16'],
};

describe('objectsAround', () => {
  for (const [name, target, wanted] of [
    [
      'a Service, and who claims its address or node port',
      { namespace: 'shop', name: 'web' },
      ['web', 'claims-address', 'claims-port'],
    ],
    ['a Service that nobody has anything to do with', { namespace: 'shop', name: 'mail' }, ['mail']],
    ['a ClusterIP', { address: '10.96.0.2', port: 25 }, ['mail']],
    ['a node port, at any address', { address: '172.18.0.11', port: 30_080 }, ['web', 'claims-address', 'claims-port']],
    ['an address that is no Service', { address: '192.0.2.1', port: 443 }, []],
    ['a Service that is not there', { namespace: 'other', name: 'web' }, []],
  ] as const) {
    it(name, () => {
      const { services, endpointSlices, serviceCIDRs } = objectsAround(OBJECTS, target);
      const names = services.map(({ metadata }) => metadata?.name);
      assert.deepEqual(names, wanted);
      assert.deepEqual(
        endpointSlices.map(({ metadata }) => metadata?.name),
        wanted.map((each) => `${each}-1`),
      );
      assert.deepEqual(serviceCIDRs, OBJECTS.serviceCIDRs);
    });
  }
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ServiceHealthCounts } from '../../../../src/core/service/service-health.ts';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import type { EndpointJson } from '../../../../src/core/kubernetes.ts';

const READY = { ready: true, serving: true, terminating: false };
const DRAINING = { ready: false, serving: true, terminating: true };
const GONE = { ready: false, serving: false, terminating: true };

class Ground {
  readonly table = new ServiceTable({
    nodeName: 'n1',
    dataplane: {
      families: ['IPv4', 'IPv6'],
      localDetector: { kind: 'none' },
      masqueradeAll: false,
      masqueradeBit: 14,
      nodePortAddresses: 'all',
      localhostNodePorts: false,
      serviceCIDRs: [],
    },
  });
  readonly counts = new ServiceHealthCounts();

  service(name: string, healthCheckNodePort: number, spec: object = {}): this {
    this.table.upsertService({
      metadata: { namespace: 'shop', name },
      spec: {
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        clusterIP: '10.96.0.1',
        clusterIPs: ['10.96.0.1', 'fd00:96::1'],
        ports: [
          { name: 'http', port: 80, nodePort: 30080 },
          { name: 'https', port: 443, nodePort: 30443 },
        ],
        healthCheckNodePort,
        ...spec,
      },
    });
    return this;
  }

  endpoints(service: string, endpoints: readonly (readonly [string, string, EndpointJson['conditions']])[]): this {
    this.table.upsertEndpointSlice({
      metadata: { namespace: 'shop', name: `${service}-1`, labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      ports: ['http', 'https'].map((name) => ({ name, protocol: 'TCP', port: 8080 })),
      endpoints: endpoints.map(([address, nodeName, conditions]) => ({ addresses: [address], nodeName, conditions })),
    });
    return this;
  }

  /** `namespace/name@family` -> port and count. */
  result(): Record<string, readonly [port: number, endpoints: number]> {
    this.counts.apply(this.table.take().changes);
    const services = [...this.counts.services()];
    return Object.fromEntries(
      services.map(([key, { healthCheckNodePort, localEndpoints }]) => [key, [healthCheckNodePort, localEndpoints]]),
    );
  }
}

describe('health check counts', () => {
  it('are per Service and family: addresses once however many ports, ready ones of this node only', () => {
    const ground = new Ground().service('web', 32000).endpoints('web', [
      ['10.0.0.1', 'n1', READY],
      ['10.0.0.2', 'n1', READY],
      ['10.0.0.3', 'n2', READY],
      ['10.0.0.4', 'n1', DRAINING],
      ['10.0.0.5', 'n1', GONE],
    ]);
    assert.deepEqual(ground.result(), { 'shop/web@IPv4': [32000, 2], 'shop/web@IPv6': [32000, 0] });
  });

  const ENDINGS = [
    { name: 'all terminate and serve', conditions: DRAINING },
    { name: 'all terminate and do not serve', conditions: GONE },
  ];
  for (const { name, conditions } of ENDINGS) {
    it(`drop to nothing when ${name}`, () => {
      const ground = new Ground().service('web', 32000).endpoints('web', [['10.0.0.1', 'n1', READY]]);
      assert.deepEqual(ground.result()['shop/web@IPv4'], [32000, 1]);
      ground.endpoints('web', [['10.0.0.1', 'n1', conditions]]);
      assert.deepEqual(ground.result()['shop/web@IPv4'], [32000, 0]);
    });
  }

  const WITHOUT = [
    { name: 'policy Cluster', spec: { externalTrafficPolicy: 'Cluster' } },
    { name: 'type NodePort', spec: { type: 'NodePort' } },
  ];
  for (const { name, spec } of WITHOUT) {
    it(`follow a Service to ${name}, which has no health check, and back`, () => {
      const ground = new Ground().service('web', 32000);
      assert.equal(Object.keys(ground.result()).length, 2);
      assert.deepEqual(ground.service('web', 32000, spec).result(), {});
      assert.equal(Object.keys(ground.service('web', 32001).result()).length, 2);
    });
  }

  it('follow a new port, and the end of a Service', () => {
    const ground = new Ground().service('web', 32000);
    ground.result();
    assert.deepEqual(ground.service('web', 32001).result()['shop/web@IPv4'], [32001, 0]);
    ground.table.deleteService({ metadata: { namespace: 'shop', name: 'web' } });
    assert.deepEqual(ground.result(), {});
  });

  it('say when nothing that they count has changed', () => {
    const ground = new Ground().service('web', 0);
    assert.equal(ground.counts.apply(ground.table.take().changes), false);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import type { EndpointJson, EndpointSlice, Service } from '../../../../src/core/kubernetes.ts';
import { concernsRules } from '../../../../src/core/service/service-port.ts';
import type { ServicePort, ServicePortChange } from '../../../../src/core/service/snapshot.ts';

const SERVICE: Service = {
  metadata: { namespace: 'shop', name: 'web', resourceVersion: '1' },
  spec: {
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 32000,
    clusterIP: '10.96.0.1',
    clusterIPs: ['10.96.0.1'],
    ports: (['TCP', 'UDP', 'SCTP'] as const).map((protocol, index) => ({
      name: protocol.toLowerCase(),
      protocol,
      port: 80,
      nodePort: 30080 + index,
    })),
  },
};

const slice = (name: string, endpoints: readonly EndpointJson[]): EndpointSlice => ({
  metadata: { namespace: 'shop', name, labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: 8080 })),
  endpoints,
});

const endpoint = (address: string, nodeName: string, conditions: EndpointJson['conditions']): EndpointJson => ({
  addresses: [address],
  nodeName,
  conditions,
});

const READY = { ready: true, serving: true, terminating: false };
const DRAINING = { ready: false, serving: true, terminating: true };
const GONE = { ready: false, serving: false, terminating: true };

class Ground {
  readonly #table = new ServiceTable({
    nodeName: 'n1',
    dataplane: {
      families: ['IPv4'],
      localDetector: { kind: 'none' },
      masqueradeAll: false,
      masqueradeBit: 14,
      nodePortAddresses: 'all',
      localhostNodePorts: false,
      serviceCIDRs: [],
    },
  });

  constructor() {
    this.#table.upsertService(SERVICE);
  }

  put(...slices: readonly EndpointSlice[]): readonly ServicePortChange[] {
    for (const each of slices) this.#table.upsertEndpointSlice(each);
    return this.#table.take().changes;
  }

  port(protocol: string): ServicePort {
    const port = this.#table.take().snapshot.servicePorts.get(`shop/web:${protocol.toLowerCase()}/${protocol}@IPv4`);
    return port ?? assert.fail();
  }
}

describe('what is known of endpoints beside the rules', () => {
  it('keeps for established flows: serving endpoints for UDP, all for SCTP, none for TCP', () => {
    const ground = new Ground();
    ground.put(
      slice('a', [endpoint('10.0.0.1', 'n1', READY), endpoint('10.0.0.2', 'n2', DRAINING)]),
      slice('b', [endpoint('10.0.0.3', 'n2', GONE)]),
    );
    const kept = (protocol: string) => ground.port(protocol).flowBackends.map(({ address }) => address);
    assert.deepEqual(kept('UDP'), ['10.0.0.1', '10.0.0.2']);
    assert.deepEqual(kept('SCTP'), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    assert.deepEqual(kept('TCP'), []);
  });

  it('counts each ready address of this node once, and none that terminates', () => {
    const ground = new Ground();
    const local = endpoint('10.0.0.1', 'n1', READY);
    ground.put(slice('a', [local, endpoint('10.0.0.2', 'n2', READY)]), slice('b', [local]));
    assert.deepEqual(ground.port('TCP').readyLocalAddresses, ['10.0.0.1']);
    ground.put(slice('a', [endpoint('10.0.0.1', 'n1', DRAINING)]), slice('b', []));
    assert.deepEqual(ground.port('TCP').readyLocalAddresses, []);
    assert.deepEqual(
      ground.port('TCP').localBackends.map(({ address }) => address),
      ['10.0.0.1'],
      'traffic still goes there',
    );
  });

  it('reports a draining endpoint that goes, though no rule changes', () => {
    const ground = new Ground();
    const ready = endpoint('10.0.0.1', 'n1', READY);
    ground.put(slice('a', [ready, endpoint('10.0.0.2', 'n1', DRAINING)]));
    const changes = ground.put(slice('a', [ready, endpoint('10.0.0.2', 'n1', GONE)]));
    assert.deepEqual(
      changes.map(({ key }) => key),
      ['shop/web:udp/UDP@IPv4'],
    );
    assert.deepEqual(changes.filter(concernsRules), []);
    const changed = ground.put(slice('a', [ready, endpoint('10.0.0.4', 'n1', READY)]));
    assert.equal(changed.filter(concernsRules).length, 3);
  });
});

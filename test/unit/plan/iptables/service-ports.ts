import fc from 'fast-check';
import type { Backend, DataplaneOptions, ServicePort, Snapshot } from '../../../../src/core/service/snapshot.ts';

export const OPTIONS: DataplaneOptions = {
  families: ['IPv4'],
  localDetector: { kind: 'cidr', cidrs: ['10.0.0.0/8'] },
  masqueradeAll: false,
  masqueradeBit: 14,
  nodePortAddresses: 'all',
  localhostNodePorts: false,
  serviceCIDRs: [],
};

/** ServicePort `ns/NAME:p/TCP@IPv4` with one backend. */
export function servicePort(name: string, overrides: Partial<ServicePort> = {}): ServicePort {
  return {
    key: `ns/${name}:p/TCP@IPv4`,
    namespace: 'ns',
    name,
    portName: 'p',
    family: 'IPv4',
    protocol: 'TCP',
    port: 80,
    clusterIP: '172.30.0.41',
    nodePort: 0,
    externalIPs: [],
    loadBalancerVIPs: [],
    loadBalancerSourceRanges: [],
    internalLocal: false,
    externalLocal: false,
    affinitySeconds: 0,
    scheduler: 'random',
    healthCheckNodePort: 0,
    clusterBackends: [backend('10.180.0.1')],
    localBackends: [],
    hasEndpoints: true,
    flowBackends: [],
    readyLocalAddresses: [],
    ...overrides,
  };
}

export function backend(address: string, port = 8080): Backend {
  return { address, port, isLocal: false };
}

export function snapshotOf(servicePorts: readonly ServicePort[], options = OPTIONS): Snapshot {
  return { options, servicePorts: new Map(servicePorts.map((one) => [one.key, one])) };
}

const backends = fc.uniqueArray(
  fc.constantFrom('10.180.0.1', '10.180.0.2', '10.180.0.3').map((ip) => backend(ip)),
  {
    maxLength: 3,
    selector: (one) => one.address,
  },
);
const addresses = (...list: readonly string[]) => fc.subarray([...list]);

/** Any ServicePort that a ServiceTable could make: its lists go with its policies. */
const arbitrary = (name: string): fc.Arbitrary<ServicePort> =>
  fc
    .record({
      nodePort: fc.constantFrom(0, 30080),
      externalIPs: addresses('192.168.99.11', '192.168.99.12'),
      loadBalancerVIPs: addresses('1.2.3.4', '5.6.7.8'),
      loadBalancerSourceRanges: addresses('203.0.113.0/25'),
      internalLocal: fc.boolean(),
      externalLocal: fc.boolean(),
      affinitySeconds: fc.constantFrom(0, 10800),
      healthCheckNodePort: fc.constantFrom(0, 30000),
      all: backends,
      local: backends,
    })
    .map(({ all, local, ...fields }) => {
      const isExternal = fields.nodePort !== 0 || fields.externalIPs.length > 0 || fields.loadBalancerVIPs.length > 0;
      const externalLocal = fields.externalLocal && isExternal;
      return servicePort(name, {
        ...fields,
        externalLocal,
        clusterBackends: !fields.internalLocal || isExternal ? all : [],
        localBackends: (fields.internalLocal || externalLocal) && all.length > 0 ? local : [],
        hasEndpoints: all.length > 0,
      });
    });

/** Up to three ServicePorts `a`, `b`, `c`. */
export const arbitrarySnapshot: fc.Arbitrary<Snapshot> = fc
  .tuple(...['a', 'b', 'c'].map((name) => fc.option(arbitrary(name), { nil: undefined })))
  .map((list) => snapshotOf(list.filter((one) => one !== undefined)));

import type { EndpointJson, EndpointSlice, Service } from '../../../src/core/kubernetes.ts';
import type { DataplaneOptions } from '../../../src/core/service/snapshot.ts';

export const OPTIONS: DataplaneOptions = {
  families: ['IPv4', 'IPv6'],
  localDetector: { kind: 'cidr', cidrs: ['10.0.0.0/8'] },
  masqueradeAll: false,
  masqueradeBit: 14,
  nodePortAddresses: 'all',
  localhostNodePorts: false,
  serviceCIDRs: [],
};

type Spec = NonNullable<Service['spec']>;

/** A ClusterIP Service `ns/name` with one unnamed TCP port 80; `spec` overrides. */
export function service(name: string, spec: Spec = {}, rest: Omit<Service, 'spec'> = {}): Service {
  return {
    ...rest,
    metadata: { namespace: 'ns', name, ...rest.metadata },
    spec: { type: 'ClusterIP', clusterIP: '172.30.0.1', ports: [{ name: '', port: 80 }], ...spec },
  };
}

/** A slice of Service `ns/serviceName` with one unnamed TCP port 8080. */
export function slice(
  name: string,
  serviceName: string,
  endpoints: readonly EndpointJson[],
  rest: EndpointSlice = {},
): EndpointSlice {
  return {
    addressType: 'IPv4',
    ports: [{ name: '', protocol: 'TCP', port: 8080 }],
    endpoints,
    ...rest,
    metadata: {
      namespace: 'ns',
      name,
      ...rest.metadata,
      labels: { 'kubernetes.io/service-name': serviceName, ...rest.metadata?.labels },
    },
  };
}

/** A ready endpoint. */
export function endpoint(address: string, nodeName?: string, rest: EndpointJson = {}): EndpointJson {
  return { addresses: [address], ...(nodeName === undefined ? {} : { nodeName }), ...rest };
}

export const READY = { ready: true, serving: true, terminating: false };
export const TERMINATING_SERVING = { ready: false, serving: true, terminating: true };
export const TERMINATING = { ready: false, serving: false, terminating: true };
export const NOT_READY = { ready: false, serving: false, terminating: false };

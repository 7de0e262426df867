import { API_VERSION } from '../../core/api/meta.ts';
import type { Mode } from '../../core/mode.ts';
import type { Node } from '../net/testbed.ts';
import { PROFILE_NAME, SERVICE_NAMESPACE, type StoryService } from './story.ts';

export const PROXY_PROFILES_PATH = `/apis/${API_VERSION}/proxyprofiles`;
export const NODE_PROXY_STATES_PATH = `/apis/${API_VERSION}/nodeproxystates`;
export const CRDS_PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** An object and where it is applied to; the path names the object itself. */
export interface Manifest {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export function namespaceManifest(name: string): Manifest {
  return { path: `/api/v1/namespaces/${name}`, body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } };
}

/** A Node as its kubelet would have made it, and its status, which has a path of its own. */
export function nodeManifests(node: Node): Manifest[] {
  const metadata = {
    name: node.name,
    labels: { 'kubernetes.io/hostname': node.name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' },
  };
  const base = { apiVersion: 'v1', kind: 'Node' };
  const path = `/api/v1/nodes/${node.name}`;
  const status = {
    addresses: [
      { type: 'InternalIP', address: node.address },
      { type: 'Hostname', address: node.name },
    ],
  };
  return [
    { path, body: { ...base, metadata, spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] } } },
    { path: `${path}/status`, body: { ...base, metadata: { name: node.name }, status } },
  ];
}

export function serviceManifest({ name, protocol, clusterIP, port, targetPort, nodePort }: StoryService): Manifest {
  return {
    path: `/api/v1/namespaces/${SERVICE_NAMESPACE}/services/${name}`,
    body: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: SERVICE_NAMESPACE },
      spec: {
        type: nodePort > 0 ? 'NodePort' : 'ClusterIP',
        clusterIP,
        clusterIPs: [clusterIP],
        ipFamilies: ['IPv4'],
        ports: [{ name: 'main', protocol, port, targetPort, ...(nodePort > 0 ? { nodePort } : {}) }],
      },
    },
  };
}

export interface PodAddress {
  readonly address: string;
  readonly nodeName: string;
}

/** The Service's one slice, with exactly these pods, all of them ready. */
export function endpointSliceManifest(service: StoryService, pods: readonly PodAddress[]): Manifest {
  const name = `${service.name}-1`;
  return {
    path: `/apis/discovery.k8s.io/v1/namespaces/${SERVICE_NAMESPACE}/endpointslices/${name}`,
    body: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace: SERVICE_NAMESPACE, labels: { 'kubernetes.io/service-name': service.name } },
      addressType: 'IPv4',
      endpoints: pods.map(({ address, nodeName }) => ({
        addresses: [address],
        nodeName,
        conditions: { ready: true, serving: true, terminating: false },
      })),
      ports: [{ name: 'main', protocol: service.protocol, port: service.targetPort }],
    },
  };
}

export function profileManifest(mode: Mode): Manifest {
  return {
    path: `${PROXY_PROFILES_PATH}/${PROFILE_NAME}`,
    body: {
      apiVersion: API_VERSION,
      kind: 'ProxyProfile',
      metadata: { name: PROFILE_NAME },
      // Soaks are for fleets that people depend on.
      spec: { mode, rollout: { canary: { soak: '1s' }, batchSoak: '0s' } },
    },
  };
}

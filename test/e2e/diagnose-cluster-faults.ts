import { apply, type Fault, type Scene } from './diagnose-scene.ts';

const SERVICE = '/api/v1/namespaces/shop/services/web';
const SLICE = '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web-1';
const POD = '/api/v1/namespaces/shop/pods/web-n1';
const ALL = ['10.244.1.2', '10.244.2.2', '10.244.3.2'];

const web = (spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop' },
  spec,
});

interface Slice {
  readonly addresses?: readonly string[];
  readonly conditions?: object;
  readonly ports?: readonly object[];
  /** For which zone the endpoint of a node is meant. */
  readonly zoneOf?: Readonly<Record<string, string>>;
}

const PORT = { name: 'main', protocol: 'TCP', port: 8080 };

function slice({ addresses = ALL, conditions: of = { ready: true }, ports = [PORT], zoneOf = {} }: Slice): object {
  const hintsOf = (nodeName: string) => {
    const name = zoneOf[nodeName];
    return name === undefined ? {} : { hints: { forZones: [{ name }] } };
  };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => {
      const nodeName = `n${address.split('.')[2]}`;
      return { addresses: [address], nodeName, conditions: of, ...hintsOf(nodeName) };
    }),
    ports,
  };
}

function pod(isReady: boolean): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-n1', namespace: 'shop', labels: { app: 'web' } },
    spec: { nodeName: 'n1', containers: [{ name: 'web', image: 'x', ports: [{ name: 'http', containerPort: 8080 }] }] },
    status: {
      phase: 'Running',
      podIP: '10.244.1.2',
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
    },
  };
}

async function withPod(scene: Scene, isReady: boolean): Promise<void> {
  await apply(scene, POD, pod(isReady));
  await apply(scene, `${POD}/status`, pod(isReady));
  await apply(scene, SERVICE, web({ selector: { app: 'web' } }));
}

async function mended(scene: Scene): Promise<void> {
  await apply(scene, SERVICE, web({}));
  await apply(scene, SLICE, slice({}));
}

/** Puts nodes into zones, or takes them out. */
async function zones(scene: Scene, zoneOf: Readonly<Record<string, string | undefined>>): Promise<void> {
  for (const [name, zone] of Object.entries(zoneOf)) {
    const labels = zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone };
    await apply(scene, `/api/v1/nodes/${name}`, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } });
  }
}

/** What is wrong in the objects of a Service; the agents are well. */
export const CLUSTER_FAULTS: readonly Fault[] = [
  {
    name: 'a Service with no endpoints',
    code: 'NoEndpoints',
    make: (scene) => apply(scene, SLICE, slice({ addresses: [] })),
    undo: mended,
  },
  {
    name: 'a selector that matches nothing',
    code: 'SelectorMatchesNothing',
    make: async (scene) => {
      await apply(scene, SERVICE, web({ selector: { app: 'nobody' } }));
      await apply(scene, SLICE, slice({ addresses: [] }));
    },
    undo: mended,
  },
  {
    name: 'pods that are not ready',
    code: 'PodsNotReady',
    says: /web-n1/,
    make: async (scene) => {
      await withPod(scene, false);
      await apply(scene, SLICE, slice({ addresses: ['10.244.1.2'], conditions: { ready: false, serving: false } }));
    },
    undo: mended,
  },
  {
    name: 'a targetPort whose name the pods do not have',
    code: 'WrongTargetPortName',
    says: /htpp/,
    make: async (scene) => {
      await withPod(scene, true);
      const port = { name: 'main', protocol: 'TCP', port: 80, targetPort: 'htpp', nodePort: 30_080 };
      await apply(scene, SERVICE, web({ selector: { app: 'web' }, ports: [port] }));
      await apply(scene, SLICE, slice({ ports: [] }));
    },
    undo: mended,
  },
  {
    name: 'a targetPort on which nothing listens',
    code: 'EndpointRefuses',
    says: /10\.244\.\d\.2:8099 refuses/,
    argv: ['shop/web'],
    make: (scene) => apply(scene, SLICE, slice({ ports: [{ ...PORT, port: 8_099 }] })),
    undo: mended,
  },
  {
    name: 'uneven load: affinity',
    code: 'SessionAffinity',
    argv: ['shop/web'],
    make: (scene) => apply(scene, SERVICE, web({ sessionAffinity: 'ClientIP' })),
    undo: (scene) => apply(scene, SERVICE, web({ sessionAffinity: 'None' })),
  },
  {
    name: 'uneven load: terminating pods',
    code: 'OnlyTerminatingEndpoints',
    make: (scene) => apply(scene, SLICE, slice({ conditions: { ready: false, serving: true, terminating: true } })),
    undo: mended,
  },
  {
    name: 'uneven load: topology hints',
    code: 'HintsUneven',
    says: /zone b: 2 nodes for 1 endpoint$/m,
    make: async (scene) => {
      await zones(scene, { n1: 'a', n2: 'b', n3: 'b' });
      await apply(scene, SLICE, slice({ zoneOf: { n1: 'a', n2: 'a', n3: 'b' } }));
    },
    undo: async (scene) => {
      await mended(scene);
      await zones(scene, { n1: undefined, n2: undefined, n3: undefined });
    },
  },
  {
    name: 'unreachable from some nodes: internalTrafficPolicy Local',
    code: 'InternalPolicyLocal',
    says: /n2, n3/,
    make: async (scene) => {
      await apply(scene, SERVICE, web({ internalTrafficPolicy: 'Local' }));
      await apply(scene, SLICE, slice({ addresses: ['10.244.1.2'] }));
    },
    undo: async (scene) => {
      await apply(scene, SERVICE, web({ internalTrafficPolicy: 'Cluster' }));
      await mended(scene);
    },
  },
];

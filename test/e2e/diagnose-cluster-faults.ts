import { WEEKDAYS } from '../../src/core/rollout/window.ts';
import { PROXY_PROFILES_PATH } from '../../src/sandbox/demo/objects.ts';
import { apply, conditions, remove, settled, until, wantMode, type Fault, type Scene } from './diagnose-scene.ts';

const SERVICE = '/api/v1/namespaces/shop/services/web';
const SLICE = '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web-1';
const POD = '/api/v1/namespaces/shop/pods/web-n1';
const OTHER_PROFILE = `${PROXY_PROFILES_PATH}/gpu`;
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
}

const PORT = { name: 'main', protocol: 'TCP', port: 8080 };

function slice({ addresses = ALL, conditions: of = { ready: true }, ports = [PORT] }: Slice): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({
      addresses: [address],
      nodeName: `n${address.split('.')[2]}`,
      conditions: of,
    })),
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

/** One day of the week, and not this one. */
const WINDOW = { start: '03:00', end: '04:00', days: [WEEKDAYS[(new Date().getUTCDay() + 3) % WEEKDAYS.length]] };

/** What is wrong in objects; the agents are well. */
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
  {
    name: 'a profile that matches no node',
    code: 'ProfileMatchesNothing',
    says: /pool/,
    make: async (scene) => {
      const spec = { mode: 'nftables', priority: 9, nodeSelector: { matchLabels: { pool: 'gpu' } } };
      const metadata = { name: 'gpu' };
      await apply(scene, OTHER_PROFILE, {
        apiVersion: 'switchyard.dev/v1alpha1',
        kind: 'ProxyProfile',
        metadata,
        spec,
      });
      await until('the profile is judged', async () => (await conditions(scene.stage, 'gpu')).includes('Accepted='));
    },
    undo: (scene) => remove(scene, OTHER_PROFILE),
  },
  {
    name: 'a rollout that waits for its window',
    code: 'RolloutOutsideWindow',
    make: async (scene) => {
      await wantMode(scene, 'iptables', { windows: [WINDOW] });
      await until('the window is seen', async () => (await conditions(scene.stage, 'fleet')).includes('OutsideWindow'));
    },
    undo: async (scene) => {
      await wantMode(scene, 'nftables');
      await settled(scene);
    },
  },
  {
    name: 'a rollout that waits: paused',
    code: 'RolloutPaused',
    make: async (scene) => {
      await wantMode(scene, 'iptables', { paused: true });
      await until('the pause is seen', async () =>
        (await conditions(scene.stage, 'fleet')).includes('Paused=True/UserRequested'),
      );
    },
    undo: async (scene) => {
      await wantMode(scene, 'nftables');
      await settled(scene);
    },
  },
  {
    name: 'the module ip_vs is missing',
    code: 'ModeUnsupported',
    says: /ip_vs/,
    make: async (scene) => {
      await wantMode(scene, 'ipvs');
      await until('the change is refused', async () =>
        (await conditions(scene.stage, 'fleet')).includes('PreflightFailed'),
      );
    },
    undo: async (scene) => {
      await wantMode(scene, 'nftables');
      await settled(scene);
    },
  },
];

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import type { NodeProxyState } from '../../src/core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../src/core/api/proxy-profile.ts';
import { listenTcpIn } from '../../src/kernel/netns.ts';
import { Cleanup } from '../../src/sandbox/demo/cleanup.ts';
import { profileManifest, PROXY_PROFILES_PATH, NODE_PROXY_STATES_PATH } from '../../src/sandbox/demo/objects.ts';
import { startProduct } from '../../src/sandbox/demo/product.ts';
import { buildStage, makeFolder, type Stage } from '../../src/sandbox/demo/stage.ts';
import type { Node } from '../../src/sandbox/net/testbed.ts';
import { switchyard, type Answer } from './operate.ts';

const MANAGER = 'diagnose-test';
const DEADLINE_MS = 60_000;
const POLL_MS = 100;

interface Fault {
  readonly name: string;
  readonly code: string;
  readonly make: (scene: Scene) => Promise<void>;
  readonly undo: (scene: Scene) => Promise<void>;
}

interface Scene {
  readonly stage: Stage;
  readonly n1: Node;
}

async function inNode({ stage, n1 }: Scene, ...argv: readonly string[]): Promise<void> {
  await stage.testbed.exec(n1, argv);
}

async function apply({ stage }: Scene, path: string, body: object): Promise<void> {
  await stage.client.apply(path, body, MANAGER);
}

const LOST = '/api/v1/namespaces/shop/services/web';
const web = (selector: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { selector },
});
const SLICE = '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web-1';

/** Processes of a node that this test's own testbed made. */
function signalAgent({ n1 }: Scene, signal: 'SIGSTOP' | 'SIGCONT'): void {
  const { stdout } = spawnSync('ip', ['netns', 'pids', n1.netns], { encoding: 'utf8' });
  for (const pid of stdout.trim().split('\n').map(Number)) {
    const { stdout: command } = spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
    if (command.includes(' agent ')) process.kill(pid, signal);
  }
}

const FORWARD = '{ type filter hook forward priority 10; policy drop; }';

/** Faults made in a real node's namespace or in the API server, as they come about in life. */
const FAULTS: readonly Fault[] = [
  // First: agents remember for minutes what others changed, and say so.
  {
    name: 'a rollout that waits: paused',
    code: 'RolloutPaused',
    make: async (scene) => {
      const { path, body } = profileManifest('iptables');
      const spec = body['spec'] as { rollout: object };
      await apply(scene, path, { ...body, spec: { ...spec, rollout: { ...spec.rollout, paused: true } } });
      await until('the pause is seen', async () =>
        (await conditions(scene.stage)).includes('Paused=True/UserRequested'),
      );
    },
    undo: async (scene) => {
      const { path, body } = profileManifest('nftables');
      await apply(scene, path, body);
      await settled(scene.stage);
    },
  },
  {
    name: 'NodePort dead from outside: a process has the port',
    code: 'NodePortTaken',
    make: async (scene) => {
      const fd = listenTcpIn(scene.n1.netnsPath, '0.0.0.0', 30_080);
      held.push(fd);
      await Promise.resolve();
    },
    undo: async () => {
      const { closeSync } = await import('node:fs');
      for (const fd of held.splice(0)) closeSync(fd);
    },
  },
  {
    name: 'NodePort dead from outside: a firewall drops the range',
    code: 'FirewallDrops',
    make: async (scene) => {
      await inNode(scene, 'nft', 'add', 'table', 'inet', 'hostfw');
      await inNode(
        scene,
        'nft',
        'add',
        'chain',
        'inet',
        'hostfw',
        'raw',
        '{ type filter hook prerouting priority -300; }',
      );
      await inNode(scene, 'nft', 'add', 'rule', 'inet', 'hostfw', 'raw', 'tcp', 'dport', '30000-32767', 'drop');
    },
    undo: (scene) => inNode(scene, 'nft', 'delete', 'table', 'inet', 'hostfw'),
  },
  {
    name: 'a host firewall whose FORWARD policy is drop',
    code: 'ForwardPolicyDrop',
    make: async (scene) => {
      await inNode(scene, 'nft', 'add', 'table', 'inet', 'hostfw');
      await inNode(scene, 'nft', 'add', 'chain', 'inet', 'hostfw', 'through', FORWARD);
    },
    undo: (scene) => inNode(scene, 'nft', 'delete', 'table', 'inet', 'hostfw'),
  },
  {
    name: 'the node forwards nothing',
    code: 'ForwardingOff',
    make: (scene) => inNode(scene, 'sysctl', '-qw', 'net.ipv4.ip_forward=0'),
    undo: (scene) => inNode(scene, 'sysctl', '-qw', 'net.ipv4.ip_forward=1'),
  },
  {
    name: 'unreachable from one node: its agent hangs',
    code: 'AgentSilent',
    make: (scene) => Promise.resolve(signalAgent(scene, 'SIGSTOP')),
    undo: (scene) => Promise.resolve(signalAgent(scene, 'SIGCONT')),
  },
  {
    name: 'a selector that matches nothing',
    code: 'SelectorMatchesNothing',
    make: async (scene) => {
      await apply(scene, LOST, web({ app: 'nobody' }));
      await apply(scene, SLICE, slice([]));
    },
    undo: async (scene) => {
      await apply(scene, LOST, web({}));
      await apply(scene, SLICE, slice(['10.244.1.2']));
    },
  },
];

const held: number[] = [];

function slice(addresses: readonly string[]): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], nodeName: 'n1', conditions: { ready: true } })),
    ports: [{ name: 'main', protocol: 'TCP', port: 8080 }],
  };
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function conditions({ client }: Stage): Promise<string> {
  const { items } = (await client.get(PROXY_PROFILES_PATH)) as unknown as { items: ProxyProfile[] };
  const [profile] = items;
  if (profile?.status?.observedGeneration !== profile?.metadata.generation) return '';
  return (profile?.status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`).join(' ');
}

async function settled(stage: Stage): Promise<void> {
  await until('the rollout is complete', async () => {
    const { items } = (await stage.client.get(NODE_PROXY_STATES_PATH)) as unknown as { items: NodeProxyState[] };
    return (await conditions(stage)).includes('Progressing=False/Complete') && items.length === 3;
  });
}

describe('kubectl switchyard diagnose, on real nodes with real faults', () => {
  const cleanup = new Cleanup();
  let scene: Scene;
  const diagnose = (...argv: readonly string[]): Promise<Answer> =>
    switchyard(scene.stage.kubeconfig, 'diagnose', '-o', 'json', ...argv);

  before(async () => {
    const folder = await makeFolder(cleanup, () => false);
    const stage = await buildStage(folder, listenTcpIn, cleanup);
    const [n1] = stage.testbed.nodes;
    assert.ok(n1 !== undefined);
    scene = { stage, n1 };
    await startProduct(stage, cleanup, () => undefined);
    const { path, body } = profileManifest('nftables');
    await apply(scene, path, body);
    await settled(stage);
  });
  after(() => cleanup.run());

  /** A kernel setting or firewall is looked at when it is asked for, so nothing is awaited but the answer. */
  async function firstFinding(): Promise<{ readonly code: string | undefined; readonly whole: string }> {
    const { stdout, stderr } = await diagnose();
    assert.notEqual(stdout, '', stderr);
    const [first] = (JSON.parse(stdout) as { findings: { code: string }[] }).findings;
    return { code: first?.code, whole: stdout };
  }

  it('finds nothing while all is well', async () => {
    const { code, stdout, stderr } = await diagnose();
    assert.deepEqual([code, JSON.parse(stdout), stderr], [0, { findings: [], notLookedAt: [] }, '']);
  });

  for (const { name, code, make, undo } of FAULTS) {
    it(`finds first: ${name}`, async () => {
      try {
        await make(scene);
        const first = await firstFinding();
        assert.equal(first.code, code, first.whole);
      } finally {
        await undo(scene);
      }
    });
  }

  it('fetches the evidence of a node, and leaves nothing behind in its state', async () => {
    const { code, stderr } = await switchyard(
      scene.stage.kubeconfig,
      'snapshot',
      'n1',
      '--file',
      `${scene.stage.folder}/n1.tar.gz`,
    );
    assert.equal(code, 0, stderr);
    const { stdout } = spawnSync('tar', ['tzf', `${scene.stage.folder}/n1.tar.gz`], { encoding: 'utf8' });
    for (const file of ['report.json', 'nftables.txt', 'status.json', 'log.txt', 'conntrack-stats.txt'])
      assert.ok(stdout.includes(file), stdout);
    await until('the answer is taken out', async () => {
      const state = (await scene.stage.client.get(`${NODE_PROXY_STATES_PATH}/n1`)) as unknown as NodeProxyState;
      return (
        state.status?.answer === undefined && state.metadata.annotations?.['switchyard.dev/question'] === undefined
      );
    });
  });
});

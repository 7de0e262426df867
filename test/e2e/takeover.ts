import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { runController } from '../../src/controllers/main.ts';
import { agentState } from '../../src/core/node/agent-state.ts';
import { API_VERSION } from '../../src/core/api/meta.ts';
import type { NodeProxyState } from '../../src/core/api/node-proxy-state.ts';
import type { Mode } from '../../src/core/mode.ts';
import { CLUSTER_IP, eventually, type AgentGround } from './agent-ground.ts';
import { connectInside } from './http-inside.ts';

const CONNECT_MS = 500;
const FAKE = fileURLToPath(new URL('../fakes/kube-proxy/main.ts', import.meta.url));

export interface KubeProxyStart {
  readonly mode: Mode;
  readonly flavour?: 'nft' | 'legacy';
  readonly startDelayMs?: number;
}

/** The kube-proxy of a ground's node: at most one process at a time, which leaves its rules when it ends. */
export class KubeProxyOfNode {
  readonly #ground: AgentGround;
  #process: ChildProcess | undefined;

  constructor(ground: AgentGround) {
    this.#ground = ground;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  start({ mode, flavour = 'nft', startDelayMs = 0 }: KubeProxyStart): void {
    const { testbed, node } = this.#ground;
    const log = openSync(this.#ground.path('kube-proxy.log'), 'a');
    const args = ['--kubeconfig', this.#ground.path('kubeconfig'), '--mode', mode, '--flavour', flavour];
    const more = ['--node-name', node.name, '--start-delay', String(startDelayMs)];
    this.#process = testbed.spawn(node, [process.execPath, FAKE, ...args, ...more], { stdio: ['ignore', log, log] });
    closeSync(log);
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGTERM');
    await ended;
  }

  /** Resolves when a connection through the ClusterIP works. */
  async untilServing(): Promise<void> {
    await eventually('kube-proxy serves', async () => {
      const socket = connectInside(this.#ground.node, 80, CLUSTER_IP);
      socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error('no answer')));
      return once(socket, 'connect')
        .then(
          () => true,
          () => undefined,
        )
        .finally(() => socket.destroy());
    });
  }
}

/** Writes the profile that the agent follows. */
export async function writeProfile(ground: AgentGround, spec: object): Promise<void> {
  const metadata = { name: 'standalone' };
  const text = JSON.stringify({ apiVersion: 'switchyard.dev/v1alpha1', kind: 'ProxyProfile', metadata, spec });
  await writeFile(ground.path('profile.new'), text);
  await rename(ground.path('profile.new'), ground.path('profile.yaml'));
}

/** The phase that the agent's disk tells; empty without an attempt. */
export async function phaseOnDisk(ground: AgentGround): Promise<string> {
  const text = await readFile(ground.path('state/state.json'), 'utf8').catch(() => '');
  if (text === '') return '';
  return agentState.parse((JSON.parse(text) as { content: unknown }).content).attempt?.phase ?? '';
}

export async function untilPhase(ground: AgentGround, phase: string): Promise<void> {
  await eventually(`the attempt is in phase ${phase}`, async () =>
    (await phaseOnDisk(ground)) === phase ? true : undefined,
  );
}

/** What of kube-proxy is in the node's kernel: its chains in both flavours and families, and its tables. */
export async function kubeProxyTraces(ground: AgentGround): Promise<string[]> {
  const { testbed, node } = ground;
  const savers = ['iptables-nft-save', 'ip6tables-nft-save', 'iptables-legacy-save', 'ip6tables-legacy-save'];
  const saved = await Promise.all(savers.map((saver) => testbed.exec(node, [saver])));
  const chains = saved.flatMap(({ stdout }) => [...stdout.matchAll(/^:(KUBE-\S+)|.* -j (KUBE-\S+)/gm)]);
  const { stdout } = await testbed.exec(node, ['nft', 'list', 'tables']);
  const tables = [...stdout.matchAll(/^table ip6? kube-proxy$/gm)].map(([text]) => text);
  return [...new Set([...chains.map(([, chain, target]) => chain ?? target ?? ''), ...tables])].sort();
}

const NODE = '/api/v1/nodes/n1';
const DAEMON_SET = '/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy';
const PROFILE = `/apis/${API_VERSION}/proxyprofiles/all`;
const STATE = `/apis/${API_VERSION}/nodeproxystates/n1`;
const LOOK_MS = 100;

interface Affinity {
  readonly nodeAffinity?: {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: {
      readonly nodeSelectorTerms: readonly {
        readonly matchExpressions?: readonly { readonly key: string; readonly operator: string }[];
      }[];
    };
  };
}

/** The controller of a cluster of one node, and what a DaemonSet controller and a kubelet do there for kube-proxy. */
export class ControlledNode {
  readonly #ground: AgentGround;
  readonly #kubeProxy: KubeProxyOfNode;
  readonly #start: KubeProxyStart;
  readonly #stop = new AbortController();
  #working: Promise<unknown>[] = [];

  constructor(ground: AgentGround, kubeProxy: KubeProxyOfNode, start: KubeProxyStart) {
    this.#ground = ground;
    this.#kubeProxy = kubeProxy;
    this.#start = start;
  }

  /** Installs our definitions and kubeadm's DaemonSet, if there is to be one, and starts both controllers. */
  async begin({ hasDaemonSet = true } = {}): Promise<void> {
    for (const file of ['proxyprofiles', 'nodeproxystates']) {
      const text = await readFile(new URL(`../../crds/${file}.yaml`, import.meta.url), 'utf8');
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${file}.switchyard.dev`;
      await this.#ground.apply(path, parse(text) as object);
    }
    if (hasDaemonSet) await this.#createDaemonSet();
    const kubeconfig = this.#ground.path('controller-kubeconfig');
    await writeFile(kubeconfig, this.#ground.server.kubeconfig());
    const logLevel = process.env['TEST_LOG_LEVEL'] ?? 'silent';
    const args = { kubeconfig, leaderElect: false, metricsBindAddress: '0', logLevel };
    const controller = runController(args, this.#stop.signal);
    this.#working = [controller, ...(hasDaemonSet ? [this.#runDaemonSet()] : [])];
  }

  async #createDaemonSet(): Promise<void> {
    const labels = { 'k8s-app': 'kube-proxy' };
    const containers = [{ name: 'kube-proxy', image: 'registry.invalid/kube-proxy:v1.36.2' }];
    const template = { metadata: { labels }, spec: { containers, hostNetwork: true } };
    await this.#ground.apply(DAEMON_SET, {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'kube-proxy', namespace: 'kube-system', labels },
      spec: { selector: { matchLabels: labels }, template },
    });
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#working);
  }

  async #runDaemonSet(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const isWanted = await this.isScheduled();
      if (isWanted && !this.#kubeProxy.isRunning) this.#kubeProxy.start(this.#start);
      if (!isWanted && this.#kubeProxy.isRunning) await this.#kubeProxy.stop();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Whether a DaemonSet controller runs its pod on the node: one of the affinity's terms holds. */
  async isScheduled(): Promise<boolean> {
    const labels = (await this.#get(NODE)).metadata.labels ?? {};
    const affinity = (await this.affinity()) as Affinity | undefined;
    const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    if (terms === undefined) return true;
    return terms.some(({ matchExpressions = [] }) =>
      matchExpressions.every(({ key, operator }) => (operator === 'DoesNotExist') === (labels[key] === undefined)),
    );
  }

  /** Of the DaemonSet's pods, as it is. */
  async affinity(): Promise<unknown> {
    return (await this.daemonSet()).spec.template?.spec.affinity;
  }

  async daemonSet(): Promise<KubeObject> {
    return this.#get(DAEMON_SET);
  }

  async setProfile(spec: object, more: object = {}): Promise<void> {
    const rollout = { canary: { count: 0 }, batchSoak: '0s', ...more };
    const body = { metadata: { name: 'all' }, spec: { onDelete: 'Release', rollout, ...spec } };
    await this.#ground.apply(PROFILE, { apiVersion: API_VERSION, kind: 'ProxyProfile', ...body });
  }

  async deleteProfile(): Promise<void> {
    await this.#ground.remove(PROFILE);
  }

  /** Resolves when a condition of the profile reads so, as `type=status/reason`. */
  async untilCondition(expected: string): Promise<void> {
    await eventually(`the profile says ${expected}`, async () => {
      const conditions = (await this.#get(PROFILE)).status?.conditions ?? [];
      const texts = conditions.map(({ type, status, reason }) => `${type}=${status}/${reason}`);
      return texts.includes(expected) ? true : undefined;
    });
  }

  /** Resolves when there is no profile and no state any more. */
  async untilGone(): Promise<void> {
    for (const path of [PROFILE, STATE]) {
      await eventually(`${path} is gone`, () =>
        this.#get(path).then(
          () => undefined,
          () => true,
        ),
      );
    }
  }

  async labels(): Promise<Readonly<Record<string, string>>> {
    return (await this.#get(NODE)).metadata.labels ?? {};
  }

  /** The NodeProxyState of the node; undefined when there is none. */
  async state(): Promise<NodeProxyState | undefined> {
    const found: unknown = await this.#get(STATE).catch(() => undefined);
    return found as NodeProxyState | undefined;
  }

  /** Not by `#stop`: whoever waits for an answer just then would fail. */
  async #get(path: string): Promise<KubeObject> {
    return (await this.#ground.client.get(path)) as unknown as KubeObject;
  }
}

interface KubeObject {
  readonly metadata: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly template?: { readonly spec: { readonly affinity?: unknown } } };
  readonly status?: { readonly conditions?: readonly { type: string; status: string; reason: string }[] };
}

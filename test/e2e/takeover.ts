import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { agentState } from '../../src/core/agent-state.ts';
import type { Mode } from '../../src/core/mode.ts';
import { CLUSTER_IP, eventually, type AgentGround } from './agent-ground.ts';

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
    const { testbed, node } = this.#ground;
    const script = `const s = require('node:net').connect(80, '${CLUSTER_IP}'); s.on('connect', () => process.exit(0)); s.on('error', () => process.exit(1)); setTimeout(() => process.exit(1), 500);`;
    await eventually('kube-proxy serves', async () => {
      const { code } = await testbed.exec(node, [process.execPath, '-e', script], { allowFailure: true });
      return code === 0 ? true : undefined;
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

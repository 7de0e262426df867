import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { agentState } from '../../../src/core/node/agent-state.ts';
import type { AttemptPhase, NodeProxyStateStatus } from '../../../src/core/api/node-proxy-state.ts';
import type { Mode } from '../../../src/core/mode.ts';
import type { EndpointSlice, Service } from '../../../src/core/kubernetes.ts';
import { listenTcpIn } from '../../../src/kernel/netns.ts';
import { NETWORK, type Node, type Testbed } from '../../../src/sandbox/net/testbed.ts';
import { TinyApi, type Json } from './tiny-api.ts';

const SERVICES = '/api/v1/services';
const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
const API_PORT = 6443;
/** An emulated processor is some twenty times slower. */
const DEADLINE_MS = 300_000;
const LOG_TAIL = 6_000;

/** Node n1 of a testbed under a real agent, whose API server is a tiny one. */
export class AgentNode {
  readonly node: Node;
  readonly api = new TinyApi({ '/api/v1/nodes': [{ metadata: { name: 'n1' } }] });
  readonly #testbed: Testbed;
  readonly #folder = mkdtempSync(join(tmpdir(), 'agent-'));
  #agent: ChildProcess | undefined;

  private constructor(testbed: Testbed) {
    this.#testbed = testbed;
    this.node = testbed.node('n1');
  }

  static async create(testbed: Testbed): Promise<AgentNode> {
    const ground = new AgentNode(testbed);
    const { address, netnsPath } = testbed.fabric;
    await ground.api.listen(listenTcpIn(netnsPath, address, API_PORT));
    const cluster = { clusters: [{ name: 'c', cluster: { server: `http://${address}:${API_PORT}` } }] };
    const context = { contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }], 'current-context': 'x' };
    writeFileSync(
      ground.path('kubeconfig'),
      JSON.stringify({ ...cluster, ...context, users: [{ name: 'u', user: {} }] }),
    );
    return ground;
  }

  put(...objects: readonly (Service | readonly EndpointSlice[])[]): void {
    for (const object of objects) {
      if (!Array.isArray(object)) this.api.put(SERVICES, object as Json);
      else for (const slice of object as readonly EndpointSlice[]) this.api.put(SLICES, slice as unknown as Json);
    }
  }

  /** What the node is to run, beside how it knows its pods. */
  want(mode: Mode, config: object = {}): void {
    this.api.want({ mode, clusterCIDR: `${NETWORK.podCidr},${NETWORK.podCidr6}`, ...config });
  }

  /** Everything of ours is to go, once kube-proxy serves. */
  giveBack(mode: Mode, config: object = {}): void {
    const wanted = { mode, clusterCIDR: `${NETWORK.podCidr},${NETWORK.podCidr6}`, ...config };
    this.api.want(wanted, 'Release', 'kube-proxy');
  }

  get kubeconfig(): string {
    return this.path('kubeconfig');
  }

  /** `program` is what to start instead of the installed one, with its first arguments. */
  start(program: readonly string[] = ['bin/switchyard']): void {
    const log = openSync(this.path('log'), 'a');
    const argv = [...program, 'agent', '--kubeconfig', this.path('kubeconfig'), '--state-dir', this.path('state')];
    const usual = ['--node-name', 'n1', '--log-level', 'debug', '--sysctl-dir', '', '--modules-load-dir', ''];
    this.#agent = this.#testbed.spawn(this.node, [...argv, ...usual], { stdio: ['ignore', log, log] });
    closeSync(log);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = this.#agent;
    this.#agent = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, 'exit');
    running.kill(signal);
    await ended;
  }

  /** Resolves when `look` is true; else it rejects after a deadline with what the agent said. */
  async until(what: string, look: () => boolean | Promise<boolean>, pauseMs = 100): Promise<void> {
    const deadline = Date.now() + DEADLINE_MS;
    while (!(await look())) {
      if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}\n${this.#said()}`);
      await pause(pauseMs);
    }
  }

  /** Resolves when the agent says that the wanted mode serves. */
  untilServing(mode: Mode): Promise<void> {
    return this.until(`${mode} mode serves`, () => {
      const { status } = this.api;
      const isReady = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
      return isReady && status?.current?.mode === mode && status.attempt?.phase === 'Committed';
    });
  }

  get status(): NodeProxyStateStatus | undefined {
    return this.api.status;
  }

  /** How far the attempt at what is wanted now has come, as the agent says; undefined while it says nothing. */
  get attempt(): NodeProxyStateStatus['attempt'] {
    const { attempt } = this.status ?? {};
    return attempt?.id === this.api.attemptId ? attempt : undefined;
  }

  /** The same, as the agent's disk says, sooner. */
  phaseOnDisk(): AttemptPhase | undefined {
    try {
      const { content } = JSON.parse(readFileSync(this.path('state/state.json'), 'utf8')) as { content: unknown };
      const { attempt } = agentState.parse(content);
      return attempt?.id === this.api.attemptId ? attempt.phase : undefined;
    } catch {
      return undefined;
    }
  }

  /** Runs a command inside the node and returns its output. */
  async run(...argv: readonly string[]): Promise<string> {
    return (await this.#testbed.exec(this.node, argv)).stdout;
  }

  /** Takes everything of ours out of the node. */
  async cleanUp(): Promise<void> {
    await this.end('SIGKILL');
    const argv = [join(process.cwd(), 'bin/switchyard'), 'agent', '--cleanup', '--state-dir', this.path('state')];
    await this.#testbed.exec(this.node, argv, { deadlineMs: DEADLINE_MS });
  }

  async destroy(): Promise<void> {
    await this.end('SIGKILL');
    await this.api.close();
    rmSync(this.#folder, { recursive: true });
  }

  /** A file of this node's agent. */
  path(name: string): string {
    return join(this.#folder, name);
  }

  #said(): string {
    const text = readFileSync(this.path('log'), 'utf8').slice(-LOG_TAIL);
    return `${JSON.stringify(this.status)}\n${text}\n${this.#whereabouts()}`;
  }

  /** What the agent's process does now, for one that says nothing. */
  #whereabouts(): string {
    const look = (file: string): string => {
      try {
        return `${file}: ${readFileSync(`/proc/${this.#agent?.pid}/${file}`, 'utf8').trim().replaceAll('\0', ' ')}`;
      } catch (error) {
        return `${file}: ${(error as Error).message}`;
      }
    };
    return ['cmdline', 'status', 'wchan', 'syscall', 'stack'].map(look).join('\n');
  }
}

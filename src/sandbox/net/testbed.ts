import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { runCommand, type CommandOptions, type CommandResult } from './command.ts';
import { SandboxError } from './error.ts';
import { guardExit } from './guard.ts';
import { planLinks, type Batch } from './links.ts';
import { newTag } from './owner.ts';
import { listNamespaces, removeNamespaces, sweepOrphans } from './sweep.ts';
import { planTopology, type Host, type Node, type TestbedSpec, type Topology } from './topology.ts';

export { NETWORK, type Host, type Node, type TestbedSpec } from './topology.ts';
export { sweepOrphans } from './sweep.ts';

async function applyBatch({ netns, lines }: Batch): Promise<void> {
  const scope = netns === undefined ? [] : ['-n', netns];
  await runCommand(['ip', ...scope, '-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
}

/**
 * Nodes with pods and an outside client as network namespaces, dual-stack, joined by a bridge in a namespace of its own
 * ("fabric"). Pods reach each other with their own addresses; outside reaches the nodes only. Nothing is made in the
 * caller's namespace beside the entries in /run/netns, whose names carry the owner and a random part.
 *
 * Everything goes away with `destroy`, or when the process exits or dies of a signal; what a SIGKILL leaves behind goes
 * when the next testbed is created on the machine.
 */
export class Testbed {
  readonly tag: string;
  readonly #topology: Topology;
  readonly #children = new Set<ChildProcess>();
  readonly #release: () => void;

  private constructor(tag: string, topology: Topology) {
    this.tag = tag;
    this.#topology = topology;
    this.#release = guardExit(() => this.#removeAll());
  }

  /** Returns when every address and route is in place. On failure nothing remains; throws `SandboxError`. */
  static async create(spec: TestbedSpec): Promise<Testbed> {
    if (process.getuid?.() !== 0) throw new SandboxError('not-root', 'create', 'network namespaces', 'run it as root');
    sweepOrphans();
    const tag = newTag();
    const topology = planTopology(tag, spec);
    const testbed = new Testbed(tag, topology);
    try {
      for (const group of planLinks(topology)) {
        const outcomes = await Promise.allSettled(group.map(applyBatch));
        for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      }
      return testbed;
    } catch (error) {
      await testbed.destroy();
      throw error;
    }
  }

  get nodes(): readonly Node[] {
    return this.#topology.nodes;
  }

  /** All pods of all nodes. */
  get pods(): readonly Host[] {
    return this.nodes.flatMap((node) => node.pods);
  }

  get fabric(): Host {
    return this.#topology.fabric;
  }

  /** Throws `SandboxError` when the testbed was made without one. */
  get outside(): Host {
    if (this.#topology.outside === undefined)
      throw new SandboxError('bad-spec', 'find', 'outside', 'the spec has none');
    return this.#topology.outside;
  }

  node(name: string): Node {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new SandboxError('bad-spec', 'find', `node ${name}`, 'the spec has none');
    return node;
  }

  /** Runs a command inside `host` to its end. Throws `SandboxError` on a non-zero exit, unless allowed, and after its deadline. */
  exec(host: Host, argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand(['ip', 'netns', 'exec', host.netns, ...argv], options);
  }

  /**
   * Starts a process inside `host`; it is killed when the testbed goes, unless it ended before. It is its own session, so
   * that Ctrl-C in a terminal reaches the caller only, who decides what ends in which order.
   */
  spawn(host: Host, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', host.netns, ...argv], { detached: true, ...options });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    child.once('error', () => this.#children.delete(child));
    return child;
  }

  /** Sends what `from` addresses to `cidr` through `via`: how an outside client gets at Service addresses. */
  async route(from: Host, cidr: string, via: Host): Promise<void> {
    const gateway = cidr.includes(':') ? via.address6 : via.address;
    await runCommand(['ip', '-n', from.netns, 'route', 'replace', cidr, 'via', gateway]);
  }

  /** Kills what runs inside and removes all namespaces. Throws `SandboxError` naming what is left; may be called again. */
  destroy(): Promise<void> {
    const left = this.#removeAll();
    if (left.length > 0) {
      return Promise.reject(new SandboxError('command-failed', 'remove', 'network namespaces', left.join(' ')));
    }
    this.#release();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.destroy();
  }

  #removeAll(): string[] {
    for (const child of this.#children) child.kill('SIGKILL');
    return removeNamespaces(listNamespaces().filter((name) => name.startsWith(`${this.tag}-`)));
  }
}

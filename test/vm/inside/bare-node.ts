import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Condition } from '../../../src/core/api/meta.ts';
import { runCommand } from '../../../src/sandbox/net/command.ts';
import { TinyApi } from './tiny-api.ts';

export const NODE_ADDRESS = '192.0.2.1';
const CLUSTER_IP = '10.96.0.10';
/** An emulated processor is slow, and others may share it. */
const DEADLINE_MS = 120_000;
const POLL_MS = 100;
const KEPT = '/disk/kept';

export const sh = async (script: string): Promise<string> =>
  (await runCommand(['sh', '-c', script], { deadlineMs: DEADLINE_MS })).stdout;

async function until(what: string, look: () => unknown): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export const isLoaded = (name: string): boolean =>
  new RegExp(`^${name} `, 'm').test(readFileSync('/proc/modules', 'utf8'));

export const sysctl = (name: string): string => readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim();

export function setConntrackMax(max: number): void {
  writeFileSync('/proc/sys/net/netfilter/nf_conntrack_max', String(max));
}

/** One line a file; programs would take minutes for so many in emulation. */
function contents(folder: string): string[] {
  const entries = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
  return entries
    .filter((entry) => entry.isFile() && entry.name !== 'nf_conntrack_count')
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      try {
        return `${path} ${readFileSync(path, 'utf8').trim()}`;
      } catch {
        return path;
      }
    })
    .sort();
}

/** Everything that a release must bring back: the kernel is asked only for what it has loaded, since asking loads it. */
export async function snapshot(): Promise<string[]> {
  const modules = [...readFileSync('/proc/modules', 'utf8').matchAll(/^(\S+) /gm)].map(([, name = '']) => name).sort();
  const asked = async (module: string, script: string) => (modules.includes(module) ? await sh(script) : '');
  const kernel = [
    await asked('nf_tables', 'nft -s list ruleset'),
    await asked('ip_set', 'ipset list -n'),
    await asked('ip_vs', 'cat /proc/net/ip_vs'),
    await sh("ip -o link | cut -d: -f2; ip -o addr | cut -d' ' -f2-7; ip route show table all"),
  ];
  const folders = ['/proc/sys/net', '/etc/sysctl.d', '/etc/modules-load.d', '/var/lib/switchyard'];
  return [
    ...modules.map((name) => `module ${name}`),
    ...folders.flatMap(contents),
    ...kernel.flatMap((each) => each.split('\n')),
  ];
}

/** Empty only when both are the same, line by line. */
export function differences(old: readonly string[], now: readonly string[]): string[] {
  const gone = old.filter((line) => !now.includes(line)).map((line) => `- ${line}`);
  const found = [...gone, ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`)];
  return found.length > 0 || old.join('\n') === now.join('\n')
    ? found
    : ['the same lines, but not as often or as ordered'];
}

/** What the Service answers, or why it does not. */
export async function reach(): Promise<string> {
  const socket = connect({ host: CLUSTER_IP, port: 80, timeout: 2_000 });
  socket.on('timeout', () => socket.destroy(new Error('timeout')));
  return text(socket).catch((error: Error) => error.message);
}

/** Puts something where the next boot finds it. */
export function keep(name: string, value: unknown): void {
  writeFileSync(join(KEPT, name), JSON.stringify(value), { flush: true });
}

export function kept(name: string): unknown {
  return JSON.parse(readFileSync(join(KEPT, name), 'utf8'));
}

const SERVICE = {
  metadata: { namespace: 'default', name: 'web', resourceVersion: '1' },
  spec: { type: 'ClusterIP', clusterIP: CLUSTER_IP, clusterIPs: [CLUSTER_IP], ports: [{ port: 80, protocol: 'TCP' }] },
};
const SLICE = {
  metadata: { namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  endpoints: [{ addresses: [NODE_ADDRESS], conditions: { ready: true } }],
  ports: [{ name: '', port: 8080, protocol: 'TCP' }],
};

/** The machine as a node with one Service, a backend for it, and a real agent. */
export class BareNode {
  readonly api = new TinyApi({
    '/api/v1/services': [SERVICE],
    '/apis/discovery.k8s.io/v1/endpointslices': [SLICE],
    '/api/v1/nodes': [{ metadata: { name: 'n1' } }],
  });
  readonly #folder = mkdtempSync(join(tmpdir(), 'switchyard-node-'));
  #backend: Server | undefined;
  #agent: ChildProcess | undefined;

  /** Nobody listens at the API server's address yet. */
  async prepare(): Promise<void> {
    for (const path of ['/etc/sysctl.d', '/etc/modules-load.d']) mkdirSync(path, { recursive: true });
    await sh(`ip addr replace ${NODE_ADDRESS}/32 dev lo; ip route replace 10.96.0.0/16 dev lo`);
    this.#backend = createServer((socket) => socket.end('hello')).listen(8080, NODE_ADDRESS);
    const kubeconfig = {
      clusters: [{ name: 'c', cluster: { server: this.api.url } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
      users: [{ name: 'u', user: {} }],
    };
    writeFileSync(join(this.#folder, 'kubeconfig'), JSON.stringify(kubeconfig));
  }

  start(): void {
    const log = openSync(join(this.#folder, 'log'), 'w');
    const argv = [
      'agent',
      '--kubeconfig',
      join(this.#folder, 'kubeconfig'),
      '--node-name',
      'n1',
      '--log-level',
      'debug',
    ];
    this.#agent = spawn('bin/switchyard', argv, { stdio: ['ignore', log, log] });
    closeSync(log);
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = this.#agent;
    this.#agent = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, 'exit');
    running.kill(signal);
    await ended;
  }

  condition(type: string): Condition | undefined {
    return this.api.status?.conditions?.find((each) => each.type === type);
  }

  get log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8');
  }

  untilReason(type: string, reason: string): Promise<void> {
    return this.untilTrue(`${type} is ${reason}`, () => this.condition(type)?.reason === reason);
  }

  untilReached(): Promise<void> {
    return this.untilTrue('the Service answers', async () => (await reach()) === 'hello');
  }

  async destroy(): Promise<void> {
    await this.api.close();
    this.#backend?.close();
    rmSync(this.#folder, { recursive: true });
  }

  untilTrue(what: string, look: () => unknown): Promise<void> {
    return until(what, look).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${JSON.stringify(this.api.status?.conditions)}\n${this.log.slice(-6_000)}`);
    });
  }
}

import assert from 'node:assert/strict';
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
import { after, afterEach, before, describe, it } from 'node:test';
import { renderedConfig } from '../../../src/core/api/node-proxy-state.ts';
import { modulesFor } from '../../../src/core/module.ts';
import { MODES } from '../../../src/core/mode.ts';
import { ModuleIndex } from '../../../src/kernel/module-index.ts';
import { runCommand } from '../../../src/sandbox/net/command.ts';
import { TinyApi } from './tiny-api.ts';

const NODE_ADDRESS = '192.0.2.1';
const CLUSTER_IP = '10.96.0.10';
const MAX = '/proc/sys/net/netfilter/nf_conntrack_max';
const DEADLINE_MS = 40_000;

const sh = async (script: string): Promise<string> => (await runCommand(['sh', '-c', script])).stdout;

async function until(what: string, look: () => unknown): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
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
    });
}

const modules = (): string[] =>
  [...readFileSync('/proc/modules', 'utf8').matchAll(/^(\S+) /gm)].map(([, name = '']) => `module ${name}`).sort();

/** Everything that a release must bring back: nft is asked only where the kernel has nf_tables, since asking loads it. */
async function snapshot(): Promise<string[]> {
  const before = modules();
  const rules = before.includes('module nf_tables') ? await sh('nft -s list ruleset') : '';
  const links = await sh("ip -o link | cut -d: -f2; ip -o addr | cut -d' ' -f2-7");
  const folders = ['/proc/sys/net', '/etc/sysctl.d', '/etc/modules-load.d', '/var/lib/switchyard'];
  return [...before, ...folders.flatMap(contents), ...rules.split('\n'), ...links.split('\n')];
}

function differences(old: readonly string[], now: readonly string[]): string[] {
  const gone = old.filter((line) => !now.includes(line)).map((line) => `- ${line}`);
  return [...gone, ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`)];
}

async function reach(): Promise<string> {
  const socket = connect({ host: CLUSTER_IP, port: 80, timeout: 2_000 });
  socket.on('timeout', () => socket.destroy(new Error('timeout')));
  return text(socket).catch((error: Error) => error.message);
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

describe('a node with a bare kernel', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-node-'));
  const api = new TinyApi({
    '/api/v1/services': [SERVICE],
    '/apis/discovery.k8s.io/v1/endpointslices': [SLICE],
    '/api/v1/nodes': [{ metadata: { name: 'n1' } }],
  });
  let backend: Server;
  let agent: ChildProcess | undefined;

  const start = () => {
    const log = openSync(join(folder, 'log'), 'a');
    const argv = ['agent', '--kubeconfig', join(folder, 'kubeconfig'), '--node-name', 'n1', '--log-level', 'debug'];
    agent = spawn('bin/switchyard', argv, { stdio: ['ignore', log, log] });
    closeSync(log);
  };
  const stop = async (signal: 'SIGTERM' | 'SIGKILL') => {
    const running = agent;
    agent = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, 'exit');
    running.kill(signal);
    await ended;
  };
  const condition = (type: string) => api.status?.conditions?.find((each) => each.type === type);
  const untilReason = (type: string, reason: string) =>
    until(`${type} is ${reason}`, () => condition(type)?.reason === reason).catch((error: unknown) => {
      const seen = JSON.stringify(api.status?.conditions);
      throw new Error(`${String(error)}\n${seen}\n${readFileSync(join(folder, 'log'), 'utf8').slice(-6_000)}`);
    });
  const isLoaded = (name: string) => new RegExp(`^${name} `, 'm').test(readFileSync('/proc/modules', 'utf8'));

  before(async () => {
    for (const path of ['/etc/sysctl.d', '/etc/modules-load.d']) mkdirSync(path, { recursive: true });
    await sh(`ip addr add ${NODE_ADDRESS}/32 dev lo; ip route add 10.96.0.0/16 dev lo`);
    backend = createServer((socket) => socket.end('hello')).listen(8080, NODE_ADDRESS);
    const cluster = { clusters: [{ name: 'c', cluster: { server: await api.listen() } }] };
    const context = { contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }], 'current-context': 'x' };
    writeFileSync(
      join(folder, 'kubeconfig'),
      JSON.stringify({ ...cluster, ...context, users: [{ name: 'u', user: {} }] }),
    );
  });
  afterEach(() => stop('SIGKILL'));
  after(() => {
    api.close();
    backend.close();
    rmSync(folder, { recursive: true });
  });

  it('has every module that a mode names', async () => {
    const index = new ModuleIndex({ kernelRelease: (await sh('uname -r')).trim() });
    const config = renderedConfig.parse({ mode: 'nftables' });
    for (const mode of MODES) {
      const needs = modulesFor(mode, config, { families: ['IPv4', 'IPv6'], iptablesFlavour: 'nft' });
      assert.deepEqual(
        needs.filter((need) => index.state(need) === 'absent').map(({ name }) => name),
        [],
        mode,
      );
    }
  });

  for (const mode of ['nftables', 'iptables']) {
    it(`serves in ${mode} mode because of one resource, and is bare again after release`, async () => {
      const bare = await snapshot();
      const kernel = {
        modules: { extra: ['br_netfilter'] },
        sysctls: [
          { name: 'net.netfilter.nf_conntrack_max', value: '777216', compare: 'AtLeast' },
          { name: 'net.bridge.bridge-nf-call-iptables', value: '0' },
          { name: 'net.core.netdev_max_backlog', value: '4321' },
        ],
      };
      start();
      api.want({ mode, kernel });
      await untilReason('Ready', 'Ready');
      assert.equal(await reach(), 'hello');
      assert.ok(Number(readFileSync(MAX, 'utf8')) >= 777_216);
      assert.ok(isLoaded('nf_conntrack') && isLoaded('br_netfilter'));
      assert.match(readFileSync('/etc/modules-load.d/switchyard.conf', 'utf8'), /^nf_conntrack$/m);
      assert.match(readFileSync('/etc/sysctl.d/99-switchyard.conf', 'utf8'), /^net\.core\.netdev_max_backlog = 4321$/m);
      assert.deepEqual(
        api.status?.sysctls?.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`])),
        [],
      );
      api.want({ mode, kernel }, 'Release');
      await untilReason('Applied', 'Released');
      await stop('SIGTERM');
      assert.deepEqual(differences(bare, await snapshot()), []);
    });
  }

  it('is not touched where a module is missing', async () => {
    start();
    const bare = await snapshot();
    api.want({ kernel: { modules: { extra: ['nosuch'] } } });
    await untilReason('PreflightPassed', 'ModuleMissing');
    await untilReason('Applied', 'PreflightFailed');
    assert.match(condition('PreflightPassed')?.message ?? '', /nosuch.*linux-modules-extra/);
    assert.deepEqual(
      differences(bare, await snapshot()).filter((line) => line.startsWith('+ module nf_nat')),
      [],
    );
    api.want({}, 'Release');
    await untilReason('Applied', 'Released');
    await stop('SIGTERM');
  });

  it('gets back a module that somebody unloads, and comes back from --cleanup when the agent was killed', async () => {
    start();
    api.want({ kernel: { modules: { extra: ['br_netfilter'] } } });
    await untilReason('Ready', 'Ready');
    await sh('rmmod br_netfilter');
    await untilReason('Drifted', 'ModuleUnloaded');
    assert.ok(isLoaded('br_netfilter'));
    assert.ok(api.reasons.includes('DriftDetected'));
    await stop('SIGKILL');
    await sh('bin/switchyard agent --cleanup');
    assert.equal(isLoaded('br_netfilter'), false);
    assert.equal(isLoaded('nf_conntrack'), false);
    assert.notEqual(await reach(), 'hello');
  });
});

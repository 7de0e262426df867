import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { OtherProxy } from '../core/preflight.ts';
import { runProcess } from './iptables/process.ts';

/** Names of processes (the kernel cuts them to 15 characters) to what they are. */
const PROCESSES: Readonly<Record<string, string>> = {
  'kube-proxy': 'kube-proxy',
  'cilium-agent': 'Cilium',
  'kube-router': 'kube-router',
  'calico-node': 'Calico',
};
/** Replaces kube-proxy only if it is told to, so it alone says nothing. */
const MAYBE = new Set(['Calico']);

const KUBE_PROXY_PORTS = [10249, 10256];
const LISTEN = '0A';
const DEADLINE_MS = 10_000;

export interface WhereToLook {
  readonly procDir?: string;
  /** The kernel holds nftables rules; asking a kernel that does not would load the module. */
  readonly hasNftables: boolean;
}

/** Looks for a Service proxy that is not ours, and for what one left behind. Changes nothing and never throws. */
export async function findOtherProxy({ procDir = '/proc', hasNftables }: WhereToLook): Promise<OtherProxy | undefined> {
  const running = processNames(procDir).flatMap((name) => PROCESSES[name] ?? []);
  const ports = foreignListeners(procDir, KUBE_PROXY_PORTS);
  const traces = [
    ...(existsSync('/sys/class/net/kube-ipvs0') ? ['link kube-ipvs0'] : []),
    ...(existsSync('/sys/class/net/cilium_host') ? ['link cilium_host'] : []),
    ...(await ruleTraces(procDir, hasNftables)),
    ...ports.map((port) => `somebody listens on port ${port}`),
  ];
  const sure = running.find((kind) => !MAYBE.has(kind));
  if (sure === undefined && traces.length === 0) return undefined;
  const kind = sure ?? (traces.some((trace) => trace.includes('cilium')) ? 'Cilium' : 'kube-proxy');
  return { kind, isRunning: sure !== undefined || ports.length > 0, traces };
}

/**
 * Those in our network that this process can see: in a container, its own and no others unless it shares the host's.
 */
function processNames(procDir: string): string[] {
  const folders = readdirSync(procDir).filter((name) => /^[0-9]+$/.test(name));
  const network = readlinkSync(join(procDir, 'self/ns/net'));
  return folders.flatMap((folder) => {
    try {
      if (!isIn(network, join(procDir, folder, 'ns/net'))) return [];
      return [readFileSync(join(procDir, folder, 'comm'), 'utf8').trim()];
    } catch {
      return [];
    }
  });
}

/** Without the right to look, a process counts as one in our network. */
function isIn(network: string, link: string): boolean {
  try {
    return readlinkSync(link) === network;
  } catch {
    return true;
  }
}

function foreignListeners(procDir: string, ports: readonly number[]): number[] {
  const lines = ['tcp', 'tcp6'].flatMap((file) => {
    try {
      return readFileSync(join(procDir, 'self/net', file), 'utf8')
        .split('\n')
        .slice(1);
    } catch {
      return [];
    }
  });
  const own = ownSockets(procDir);
  const listening = lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const port = Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16);
    return state === LISTEN && !own.has(`socket:[${inode}]`) ? [port] : [];
  });
  return ports.filter((port) => listening.includes(port));
}

function ownSockets(procDir: string): Set<string> {
  const folder = join(procDir, 'self/fd');
  const targets = readdirSync(folder).flatMap((fd) => {
    try {
      return [readlinkSync(join(folder, fd))];
    } catch {
      return [];
    }
  });
  return new Set(targets);
}

/** The chains and tables that kube-proxy makes. */
async function ruleTraces(procDir: string, hasNftables: boolean): Promise<string[]> {
  const hasLegacy = existsSync(join(procDir, 'self/net/ip_tables_names'));
  const savers = [...(hasNftables ? ['iptables-nft-save'] : []), ...(hasLegacy ? ['iptables-legacy-save'] : [])];
  const nft = hasNftables ? await output('nft', ['list', 'tables']) : '';
  const saved = await Promise.all(savers.map((name) => output(name, [])));
  const tables = [...nft.matchAll(/^table (ip6?) kube-proxy$/gm)].map(
    ([, family = '']) => `table ${family} kube-proxy`,
  );
  return [...tables, ...(saved.some((text) => /^:KUBE-SERVICES /m.test(text)) ? ['chain KUBE-SERVICES'] : [])];
}

async function output(program: string, args: readonly string[]): Promise<string> {
  try {
    return (await runProcess({ program, args, deadlineMs: DEADLINE_MS })).stdout;
  } catch {
    return '';
  }
}

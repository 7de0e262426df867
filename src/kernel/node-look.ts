import { readFileSync } from 'node:fs';
import {
  countForeignRules,
  dropPoliciesOf,
  dropRulesOf,
  foreignChains,
  legacyFirewall,
} from '../core/diagnose/firewall.ts';
import type { NodeReport } from '../core/diagnose/node-report.ts';
import { runProcess } from './iptables/process.ts';

const DEADLINE_MS = 10_000;

/** What a program printed, with why not where it did not. */
export interface Printed {
  readonly command: string;
  readonly stdout: string;
  readonly problem: string | undefined;
}

/** Runs a program that only looks; never throws. */
export async function look(program: string, ...args: readonly string[]): Promise<Printed> {
  const command = [program, ...args].join(' ');
  try {
    const { code, stdout, stderr } = await runProcess({ program, args, deadlineMs: DEADLINE_MS });
    return { command, stdout, problem: code === 0 ? undefined : stderr.trim().split('\n')[0] || `exit code ${code}` };
  } catch (error) {
    return { command, stdout: '', problem: (error as Error).message };
  }
}

export type Firewall = NodeReport['firewall'];

/** The rules of others that Service traffic passes. `problems` gets what could not be read. */
export async function lookAtFirewall(nodePorts: readonly number[], problems: string[]): Promise<Firewall> {
  const [chains, tables, legacy, nft] = await Promise.all([
    look('nft', '--json', 'list', 'chains'),
    look('nft', 'list', 'tables'),
    look('iptables-legacy-save'),
    look('iptables-nft-save'),
  ]);
  const dropPolicies: string[] = [];
  const dropRules: string[] = [];
  if (chains.problem === undefined) {
    const foreign = foreignChains(chains.stdout);
    dropPolicies.push(...dropPoliciesOf(foreign));
    for (const chain of foreign) {
      const listed = await look('nft', 'list', 'chain', chain.family, chain.table, chain.name);
      dropRules.push(...dropRulesOf(chain, listed.stdout, nodePorts));
    }
  } else {
    problems.push(`the firewall: ${chains.problem}`);
  }
  const old = legacyFirewall(legacy.stdout, nodePorts);
  return {
    dropPolicies: [...dropPolicies, ...old.dropPolicies],
    dropRules: [...dropRules, ...old.dropRules],
    otherTables: tables.stdout
      .split('\n')
      .map((line) => line.replace(/^table /, '').trim())
      .filter((table) => table !== '' && !/switchyard/.test(table)),
    iptables: { legacy: countForeignRules(legacy.stdout), nft: countForeignRules(nft.stdout) },
  };
}

/** net/tcp_states.h */
const LISTEN = '0A';
const UDP_UNCONNECTED = '07';

/** The ports that processes in this network namespace listen on. */
export function listListeners(procDir = '/proc'): NodeReport['listeners'] {
  const files = [
    ['tcp', LISTEN],
    ['tcp6', LISTEN],
    ['udp', UDP_UNCONNECTED],
    ['udp6', UDP_UNCONNECTED],
  ] as const;
  return files.flatMap(([name, state]) => {
    const rows = readText(`${procDir}/self/net/${name}`).trim().split('\n').slice(1);
    return rows.flatMap((row) => {
      const [, local = '', , shown] = row.trim().split(/\s+/);
      if (shown !== state) return [];
      const [address = '', port = '0'] = local.split(':');
      return [{ protocol: name.slice(0, 3), address: addressText(address), port: Number.parseInt(port, 16) }];
    });
  });
}

/** Hexadecimal words in the byte order of the machine; both of ours are little-endian. */
function addressText(hex: string): string {
  if (/^0+$/.test(hex)) return hex.length === 8 ? '0.0.0.0' : '::';
  if (hex.length === 8) return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.');
  return `v6 ${hex.toLowerCase()}`;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** `TCP: inuse 5 orphan 0 tw 12 …` of /proc/net/sockstat. */
export function readSockets(procDir = '/proc'): NonNullable<NodeReport['sockets']> {
  const numbers = (line: string | undefined, name: string): number =>
    Number(new RegExp(`\\b${name} (\\d+)`).exec(line ?? '')?.[1] ?? 0);
  const tcp = readText(`${procDir}/self/net/sockstat`)
    .split('\n')
    .find((line) => line.startsWith('TCP:'));
  return { closeWait: 0, timeWait: numbers(tcp, 'tw'), inUse: numbers(tcp, 'inuse') };
}

interface IpAddress {
  readonly ifname: string;
  readonly mtu?: number;
  readonly addr_info?: readonly { readonly local?: string }[];
}

/** The interfaces of this network namespace, but for those of single pods. */
export async function listInterfaces(problems: string[]): Promise<NodeReport['interfaces']> {
  const printed = await look('ip', '-json', 'address');
  if (printed.problem !== undefined) {
    problems.push(`interfaces: ${printed.problem}`);
    return [];
  }
  const found = JSON.parse(printed.stdout || '[]') as IpAddress[];
  return found
    .filter(({ ifname }) => !/^(veth|cali|lxc|pod)/.test(ifname))
    .map(({ ifname, mtu = 0, addr_info: addresses = [] }) => ({
      name: ifname,
      mtu,
      addresses: addresses.flatMap(({ local }) => local ?? []),
    }));
}

import {
  closedInput,
  countForeignRules,
  dropPoliciesOf,
  dropRulesOf,
  foreignChains,
  legacyFirewall,
  type FirewalledPorts,
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
export async function lookAtFirewall(ports: FirewalledPorts, problems: string[]): Promise<Firewall> {
  const [chains, tables, legacy, nft] = await Promise.all([
    look('nft', '--json', 'list', 'chains'),
    look('nft', 'list', 'tables'),
    look('iptables-legacy-save'),
    look('iptables-nft-save'),
  ]);
  const dropPolicies: string[] = [];
  const dropRules: string[] = [];
  const closed: { readonly chain: string; readonly what: string }[] = [];
  if (chains.problem === undefined) {
    const foreign = foreignChains(chains.stdout);
    dropPolicies.push(...dropPoliciesOf(foreign));
    for (const chain of foreign) {
      const listed = await look('nft', 'list', 'chain', chain.family, chain.table, chain.name);
      dropRules.push(...dropRulesOf(chain, listed.stdout, ports));
      const name = `${chain.family} ${chain.table} ${chain.name}`;
      closed.push(...closedInput(chain, listed.stdout, ports).map((what) => ({ chain: name, what })));
    }
  } else {
    problems.push(`the firewall: ${chains.problem}`);
  }
  const old = legacyFirewall(legacy.stdout, ports.nodePorts);
  return {
    dropPolicies: [...dropPolicies, ...old.dropPolicies],
    dropRules: [...dropRules, ...old.dropRules],
    otherTables: tables.stdout
      .split('\n')
      .map((line) => line.replace(/^table /, '').trim())
      .filter((table) => table !== '' && !/switchyard/.test(table)),
    inputPolicies: {
      chains: [...new Set(closed.map(({ chain }) => chain))],
      ports: [...new Set(closed.map(({ what }) => what))].join(' and '),
    },
    iptables: { legacy: countForeignRules(legacy.stdout), nft: countForeignRules(nft.stdout) },
  };
}

/** In IPVS mode a device has the addresses of all Services. */
const MAX_ADDRESSES = 16;

interface IpAddress {
  readonly ifname: string;
  readonly mtu?: number;
  readonly addr_info?: readonly { readonly local?: string }[];
}

/** The interfaces of this network namespace, but for those of single pods. */
export async function listInterfaces(
  readSysctl: (name: string) => string | undefined,
  problems: string[],
): Promise<NodeReport['interfaces']> {
  const printed = await look('ip', '-json', 'address');
  if (printed.problem !== undefined) {
    problems.push(`interfaces: ${printed.problem}`);
    return [];
  }
  const found = JSON.parse(printed.stdout || '[]') as IpAddress[];
  return found
    .filter(({ ifname }) => !/^(veth|cali|lxc|pod)/.test(ifname))
    .map(({ ifname, mtu = 0, addr_info: addresses = [] }) => {
      const rpFilter = /[./]/.test(ifname) ? undefined : readSysctl(`net.ipv4.conf.${ifname}.rp_filter`);
      return {
        name: ifname,
        mtu,
        addresses: addresses.flatMap(({ local }) => local ?? []).slice(0, MAX_ADDRESSES),
        ...(rpFilter === undefined ? {} : { rpFilter: Number(rpFilter) }),
      };
    });
}

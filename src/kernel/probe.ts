import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { delimiter, join } from 'node:path';
import { FAMILIES, type Family } from '../core/ip.ts';
import type { IptablesFlavour } from '../core/node/module.ts';
import type { NodeFindings, ToolFact } from '../core/node/preflight.ts';
import { listLegacyTables } from './iptables/legacy-tables.ts';
import { ModuleIndex } from './module-index.ts';
import { SysctlFolder } from './sysctl-folder.ts';

/** Numbers of the capabilities in capability.h. */
const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;
const CAP_SYS_MODULE = 16n;

/** The programs that a mode, or a person who looks at it, uses. */
const TOOLS = ['iptables-save', 'iptables-restore', 'nft', 'ipset', 'modprobe', 'conntrack'] as const;

/** Reads what this process may do and what the node has, through /proc and PATH; changes nothing. */
export interface NodeProbe {
  hasNetAdmin(): boolean;
  kernelRelease(): string;
  /** Changes with each boot. */
  bootID(): string;
  hasTool(name: string): boolean;
  /** The kernel speaks IPv6 and nobody turned it off. */
  hasIPv6(): boolean;
}

export const systemProbe: NodeProbe = {
  hasNetAdmin: () => hasCapability(CAP_NET_ADMIN),
  kernelRelease: () => release(),
  hasIPv6() {
    try {
      return readFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', 'utf8').trim() === '0';
    } catch {
      return false;
    }
  },
  bootID: () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  hasTool: (name) => findProgram(name) !== undefined,
};

/** What the preflight of every mode is decided from, looked up now. */
export function findNode(
  sysctls: SysctlFolder = new SysctlFolder(),
  modules: ModuleIndex = new ModuleIndex({ kernelRelease: release() }),
): NodeFindings {
  const families: Family[] = systemProbe.hasIPv6() ? ['IPv4', 'IPv6'] : ['IPv4'];
  const tools = TOOLS.flatMap((name) => toolFact(name) ?? []);
  const loaded = modules.loaded();
  return {
    kernelRelease: release(),
    cores: countCores(),
    traits: { families, iptablesFlavour: tools.find(({ name }) => name === 'iptables-save')?.flavour ?? 'nft' },
    tools,
    moduleState: (need) => modules.state(need, loaded),
    readSysctl: (name) => sysctls.read(name),
    isSysctlWritable: (name) => sysctls.isWritable(name),
    mayLoadModules: hasCapability(CAP_SYS_MODULE),
    legacyTables: [...new Set(FAMILIES.flatMap((family) => listLegacyTables(family) ?? []))].sort(),
    mayOpenRawSockets: hasCapability(CAP_NET_RAW),
  };
}

function hasCapability(number: bigint): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return ((BigInt(`0x${line?.[1] ?? '0'}`) >> number) & 1n) === 1n;
}

/** The node's, not those that a cpuset leaves to this process: the table is the node's too. */
function countCores(): number {
  try {
    return countRanges(readFileSync('/sys/devices/system/cpu/online', 'utf8'));
  } catch {
    return cpus().length;
  }
}

/** `0-3,8` is five. */
function countRanges(text: string): number {
  return text
    .trim()
    .split(',')
    .map((range) => range.split('-').map(Number))
    .reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0);
}

function toolFact(name: string): ToolFact | undefined {
  const path = findProgram(name);
  if (path === undefined) return undefined;
  return name.startsWith('iptables') ? { name, flavour: flavourOf(path) } : { name };
}

/** Both flavours are one program each, which the names are links to. */
function flavourOf(path: string): IptablesFlavour {
  return realpathSync(path).includes('legacy') ? 'legacy' : 'nft';
}

function findProgram(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

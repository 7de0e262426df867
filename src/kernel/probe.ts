import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import type { ImplementedMode } from '../core/mode.ts';

/** Number of the capability in capability.h. */
const CAP_NET_ADMIN = 12n;

/** The kernel version from which concatenated set lookups and what else nftables mode uses are complete. */
const NFTABLES_MINIMUM_KERNEL = [5, 13] as const;

const IPTABLES_TOOLS = ['iptables-save', 'iptables-restore'] as const;

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
  hasNetAdmin() {
    const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return ((BigInt(`0x${line?.[1] ?? '0'}`) >> CAP_NET_ADMIN) & 1n) === 1n;
  },
  kernelRelease: () => release(),
  hasIPv6() {
    try {
      return readFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', 'utf8').trim() === '0';
    } catch {
      return false;
    }
  },
  bootID: () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  hasTool: (name) => (process.env['PATH'] ?? '').split(delimiter).some((folder) => isProgram(join(folder, name))),
};

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What the node lacks to run `mode`, each with what to do about it; empty when it lacks nothing. */
export function missingFor(mode: ImplementedMode, probe: NodeProbe): string[] {
  switch (mode) {
    case 'iptables':
      return IPTABLES_TOOLS.filter((tool) => !probe.hasTool(tool)).map(
        (tool) => `iptables mode needs the program ${tool}, which is not on PATH; install it: apt-get install iptables`,
      );
    case 'nftables':
      return isAtLeast(probe.kernelRelease(), NFTABLES_MINIMUM_KERNEL)
        ? []
        : [`nftables mode needs Linux ${NFTABLES_MINIMUM_KERNEL.join('.')} or later; this is ${probe.kernelRelease()}`];
  }
}

function isAtLeast(kernelRelease: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = kernelRelease.split('.').map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

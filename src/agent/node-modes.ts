import type { RenderedConfig } from '../core/api/node-proxy-state.ts';
import { IMPLEMENTED_MODES, type ImplementedMode } from '../core/mode.ts';
import type { Preflight } from '../core/node/node-status.ts';
import { lacksFor, warningsFor, type NodeFindings } from '../core/node/preflight.ts';
import { createAnchor } from '../kernel/anchor.ts';
import { Counters } from '../kernel/counters.ts';
import { createIptablesDataplane } from '../kernel/dataplane-iptables.ts';
import { createIpvsDataplane, type IpvsDataplaneOptions } from '../kernel/dataplane-ipvs.ts';
import { createNftablesDataplane } from '../kernel/dataplane-nftables.ts';
import type { Dataplane } from '../kernel/dataplane.ts';
import { sweepTraceTables } from '../kernel/nftables/trace-table.ts';
import { systemProbe } from '../kernel/probe.ts';
import { UserError } from '../support/errors.ts';

/** What IPVS mode asks of its surroundings. */
export type IpvsWishes = Pick<IpvsDataplaneOptions, 'drain' | 'onMissingScheduler' | 'procSysDir'>;

/**
 * The data plane of a mode in this process's network namespace. Without `drain`, removing IPVS mode cuts off the
 * connections through it.
 */
export function createDataplane(mode: ImplementedMode, ipvs: IpvsWishes = {}): Dataplane {
  switch (mode) {
    case 'iptables':
      return createIptablesDataplane({});
    case 'ipvs':
      return createIpvsDataplane(ipvs);
    case 'nftables':
      return createNftablesDataplane({});
  }
}

/** Keeps NAT alive while modes come and go; see Anchor. Throws KernelError. */
export async function ensureAnchor(): Promise<void> {
  const anchor = createAnchor();
  try {
    await anchor.ensure();
  } finally {
    anchor.close();
  }
}

/**
 * Removes what stands beside every mode: the counters, and the anchor, which stops connections that only our rules
 * translated. Throws KernelError.
 */
export async function removeBesides(): Promise<void> {
  await sweepTraceTables();
  await new Counters().remove();
  const anchor = createAnchor();
  try {
    await anchor.remove();
  } finally {
    anchor.close();
  }
}

/** Which modes this node can run, and what it lacks for `wanted`; touches nothing. */
export function preflight(wanted: RenderedConfig, node: NodeFindings): Preflight {
  const lacks = new Map(IMPLEMENTED_MODES.map((mode) => [mode, lacksFor({ ...wanted, mode }, node)]));
  return {
    kernel: node.kernelRelease,
    modes: IMPLEMENTED_MODES.filter((mode) => lacks.get(mode)?.length === 0),
    missing: [...new Set([...lacks.values()].flat().map(({ message }) => message))],
    lacks: lacks.get(wanted.mode) ?? [],
    warnings: warningsFor(wanted, node),
    tools: node.tools.map(({ name, flavour }) => (flavour === undefined ? name : `${name} (${flavour})`)),
  };
}

/** Throws UserError where this process may not program the kernel. */
export function requireNetAdmin(what: string): void {
  if (systemProbe.hasNetAdmin()) return;
  throw new UserError(`${what} needs root or the capability NET_ADMIN to program the kernel; run it with sudo`);
}

import { IMPLEMENTED_MODES, type ImplementedMode } from '../core/mode.ts';
import type { Preflight } from '../core/node-status.ts';
import { createAnchor } from '../kernel/anchor.ts';
import { createIptablesDataplane } from '../kernel/dataplane-iptables.ts';
import { createNftablesDataplane } from '../kernel/dataplane-nftables.ts';
import type { Dataplane } from '../kernel/dataplane.ts';
import { missingFor, systemProbe } from '../kernel/probe.ts';
import { UserError } from '../support/errors.ts';

/** The data plane of a mode in this process's network namespace. */
export function createDataplane(mode: ImplementedMode): Dataplane {
  switch (mode) {
    case 'iptables':
      return createIptablesDataplane({});
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

/** Removes the anchor, which stops connections that only our rules translated. Throws KernelError. */
export async function removeAnchor(): Promise<void> {
  const anchor = createAnchor();
  try {
    await anchor.remove();
  } finally {
    anchor.close();
  }
}

/** Which modes this node can run, looked up anew; touches nothing. */
export function preflight(): Preflight {
  const missing = new Map(IMPLEMENTED_MODES.map((mode) => [mode, missingFor(mode, systemProbe)]));
  return {
    kernel: systemProbe.kernelRelease(),
    modes: IMPLEMENTED_MODES.filter((mode) => missing.get(mode)?.length === 0),
    missing: [...missing.values()].flat(),
  };
}

/** Throws UserError where this process may not program the kernel. */
export function requireNetAdmin(what: string): void {
  if (systemProbe.hasNetAdmin()) return;
  throw new UserError(`${what} needs root or the capability NET_ADMIN to program the kernel; run it with sudo`);
}

import { z } from 'zod';
import { MODES } from '../mode.ts';

const text = z.string();
const count = z.number();

/** What an agent says of its kernel when it is asked. Missing parts could not be read there; `problems` says why. */
export const nodeReport = z.object({
  node: text,
  takenAt: text,
  agent: text,
  kernel: text,
  mode: z.enum(MODES).nullable(),
  /** What the kernel lacks, or has beyond, of what the agent knows; null where it could not be looked at. */
  differences: z.array(z.object({ object: text, problem: text })).nullable(),
  /** Since when a change of Services waits for the kernel to take it, in milliseconds; null when none does. */
  waitingMs: count.nullable(),
  syncError: text.nullable(),
  /** Service ports that the agent knows. */
  servicePorts: count,
  conntrack: z
    .object({
      entries: count,
      max: count,
      dropped: count,
      earlyDropped: count,
      insertFailed: count.optional(),
      invalid: count.optional(),
      closeWait: count.optional(),
      unrepliedUdp: count.optional(),
    })
    .nullable(),
  sysctls: z.record(text, text),
  /** Policies and rules of others in chains that Service traffic passes. */
  firewall: z.object({
    /** Chains of the hook forward whose policy is drop, such as `ip filter FORWARD`. */
    dropPolicies: z.array(text),
    /** Rules of others that drop or refuse in them, as their tool prints them. */
    dropRules: z.array(text),
    /** nftables tables that are not ours. */
    otherTables: z.array(text),
    /** Rules that each flavour of iptables has. */
    iptables: z.object({ legacy: count, nft: count }),
  }),
  /** Ports that processes of the node listen on. */
  listeners: z.array(z.object({ protocol: text, address: text, port: count, process: text.optional() })),
  interfaces: z.array(z.object({ name: text, mtu: count, addresses: z.array(text) })),
  /** How many sockets of the node wait in CLOSE_WAIT or TIME_WAIT. */
  sockets: z.object({ closeWait: count, timeWait: count, inUse: count }).optional(),
  syncSeconds: count.optional(),
  problems: z.array(text),
});
export type NodeReport = z.infer<typeof nodeReport>;

import { z } from 'zod';
import { MODES } from '../mode.ts';

const text = z.string();
const count = z.number();

export const CONNECT_RESULTS = ['connected', 'refused', 'timeout', 'failed'] as const;
export type ConnectResult = (typeof CONNECT_RESULTS)[number];
const attempt = z.object({ to: text, result: z.enum(CONNECT_RESULTS), detail: text.optional() });

/** What an agent says of its kernel when it is asked. Missing parts could not be read there; `problems` says why. */
export const nodeReport = z.object({
  node: text,
  takenAt: text,
  agent: text,
  kernel: text,
  mode: z.enum(MODES).nullable(),
  /** What the kernel lacks, or has beyond, of what the agent knows; null where it could not be looked at. */
  differences: z.array(z.object({ object: text, problem: text })).nullable(),
  /** Modes that nobody follows and of which there are rules of ours. */
  leftovers: z.array(z.enum(MODES)).optional(),
  /** Collections of the API server that the agent cannot read, and for how long. */
  unread: z.array(z.object({ path: text, problem: text, isRefused: z.boolean(), seconds: count })).optional(),
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
      /** UDP flows to Services whose endpoint is none of theirs any more. */
      staleUdp: z.object({ count, flows: z.array(text) }).optional(),
      /** What was lost while the agent looked, at most in the last hours. */
      recent: z.object({ seconds: count, insertFailed: count, dropped: count }).optional(),
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
    /** Chains of the hook input whose policy is drop and that let none of `ports` in, which have to come in there. */
    inputPolicies: z.object({ chains: z.array(text), ports: text }).optional(),
  }),
  /** Ports that processes of the node listen on. */
  listeners: z.array(
    z.object({ protocol: text, address: text, port: count, process: text.optional(), processId: count.optional() }),
  ),
  interfaces: z.array(z.object({ name: text, mtu: count, addresses: z.array(text), rpFilter: count.optional() })),
  /** TCP sockets of the node. */
  sockets: z
    .object({
      closeWait: count,
      timeWait: count,
      inUse: count,
      /** The address and port that the most ephemeral ports are taken by connections to. */
      busiest: z.object({ to: text, ports: count }).optional(),
    })
    .optional(),
  /** A Service proxy that is not ours, looked for anew; null where there is none. */
  otherProxy: z
    .object({ kind: text, running: z.boolean(), traces: z.array(text) })
    .nullable()
    .optional(),
  /** What the slowest of the last batches of changes took. */
  syncSeconds: count.optional(),
  /** Connections that the agent tried when it was asked to. */
  connections: z
    .array(
      z.object({
        /** `namespace/name` */
        service: text,
        port: text,
        endpoints: z.array(attempt),
        entrances: z.array(attempt.extend({ entrance: text })),
      }),
    )
    .optional(),
  problems: z.array(text),
});
export type NodeReport = z.infer<typeof nodeReport>;

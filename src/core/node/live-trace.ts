import { z } from 'zod';
import { MODES } from '../mode.ts';
import { PROTOCOLS } from '../service/snapshot.ts';

/** However long somebody asks for. */
export const MAX_TRACE_SECONDS = 60;

const text = z.string().max(256);
const port = z.int().min(0).max(65_535);

/** Which packets of a node are followed through its kernel, and for how long. */
export const liveTraceRequest = z.object({
  protocol: z.enum(PROTOCOLS),
  destination: text,
  port: port.min(1),
  /** Anybody when absent. */
  source: text.optional(),
  seconds: z.number().positive().max(MAX_TRACE_SECONDS),
  /** The agent opens a connection itself, where the destination is a Service's. */
  connect: z.boolean().optional(),
});
export type LiveTraceRequest = z.infer<typeof liveTraceRequest>;

const tracedEnd = z.object({ address: z.string(), port: z.number() });
const tracedStep = z.object({
  /** `nat SWITCHYARD-SERVICES`, or the name of a chain in a table of ours. */
  chain: z.string(),
  /** As the tool of its table shows it. */
  rule: z.string(),
  verdict: z.string(),
  isOurs: z.boolean(),
});

/** One packet, as the kernel saw it pass. */
export const tracedPacket = z.object({
  source: tracedEnd,
  destination: tracedEnd,
  interface: z.string().optional(),
  /** Where it was sent in the end. */
  sentTo: tracedEnd,
  isDropped: z.boolean(),
  steps: z.array(tracedStep),
});
export type TracedPacket = z.infer<typeof tracedPacket>;

/** What the agent of a node saw. */
export const liveTrace = z.object({
  node: z.string(),
  mode: z.enum(MODES),
  seconds: z.number(),
  packets: z.array(tracedPacket),
  /** Packets that were seen beyond those that are told of, or of which the kernel had to drop something. */
  isIncomplete: z.boolean(),
  notes: z.array(z.string()),
});
export type LiveTrace = z.infer<typeof liveTrace>;

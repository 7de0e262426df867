import ipaddr from 'ipaddr.js';
import { align } from '../netlink/attributes.ts';
import { binary, container, field, i32be, text, u32be, u64be } from '../netlink/schema.ts';
import { NETLINK_NETFILTER } from '../netlink/socket.ts';
import { NetlinkSubscription } from '../netlink/subscription.ts';
import type { Message } from '../netlink/message.ts';
import { NFT_MSG } from './constants.ts';

/** NFNLGRP_NFTRACE (linux/netfilter/nfnetlink.h) */
const GROUP_NFTRACE = 9;
/** struct nfgenmsg */
const GENERIC_HEADER_BYTES = 4;

const verdictSchema = container({ code: field(1, i32be), chain: field(2, text) });
/** NFTA_TRACE_* */
const traceSchema = container({
  table: field(1, text),
  chain: field(2, text),
  handle: field(3, u64be),
  type: field(4, u32be),
  verdict: field(5, verdictSchema),
  id: field(6, u32be),
  networkHeader: field(8, binary),
  transportHeader: field(9, binary),
  inputInterface: field(10, u32be),
});

/** enum nft_trace_types */
const TYPES = ['unspecified', 'policy', 'return', 'rule'] as const;
/** NF_* and NFT_* verdicts. */
const VERDICTS: Readonly<Partial<Record<number, string>>> = {
  [0]: 'drop',
  [1]: 'accept',
  [2]: 'stolen',
  [3]: 'queue',
  [-1]: 'continue',
  [-2]: 'break',
  [-3]: 'jump',
  [-4]: 'goto',
  [-5]: 'return',
};
/** NFPROTO_* */
const FAMILIES: Readonly<Partial<Record<number, string>>> = { 1: 'inet', 2: 'ip', 5: 'netdev', 7: 'bridge', 10: 'ip6' };

export interface PacketEnds {
  readonly source: { readonly address: string; readonly port: number };
  readonly destination: { readonly address: string; readonly port: number };
}

/** One thing that happened to a packet in a chain. */
export interface TraceEvent {
  /** Of the packet. */
  readonly id: number;
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly type: (typeof TYPES)[number];
  readonly handle: bigint | undefined;
  readonly verdict: string;
  /** Told once in each hook: as it is there. */
  readonly ends: PacketEnds | undefined;
  readonly inputInterface: number | undefined;
}

/**
 * Tells of what happens to packets with nftrace set in this network namespace, of `undefined` when the kernel had to drop
 * something. Listens from the call on; the promise resolves when `signal` aborts. Throws `KernelError`.
 */
export function watchTrace(
  onEvent: (event: TraceEvent | undefined) => void,
  signal: AbortSignal,
  netns?: string,
): Promise<void> {
  const subscription = new NetlinkSubscription(NETLINK_NETFILTER, [GROUP_NFTRACE], netns);
  return subscription.listen((messages) => {
    if (messages === undefined) onEvent(undefined);
    for (const message of messages ?? []) if (message.type === NFT_MSG.TRACE) onEvent(parseEvent(message));
  }, signal);
}

function parseEvent({ payload }: Message): TraceEvent {
  const values = traceSchema.decode(payload.subarray(align(GENERIC_HEADER_BYTES)));
  const { code = -1, chain } = values.verdict ?? {};
  const word = VERDICTS[code] ?? String(code);
  return {
    id: values.id ?? 0,
    family: FAMILIES[payload[0] ?? 0] ?? 'unknown',
    table: values.table ?? '',
    chain: values.chain ?? '',
    type: TYPES[values.type ?? 0] ?? 'unspecified',
    handle: values.handle,
    verdict: chain === undefined ? word : `${word} ${chain}`,
    ends: endsOf(values.networkHeader, values.transportHeader),
    inputInterface: values.inputInterface,
  };
}

/** Addresses from an IP header, ports from the first four bytes of TCP, UDP or SCTP. */
function endsOf(network: Uint8Array | undefined, transport: Uint8Array | undefined): PacketEnds | undefined {
  if (network === undefined || transport === undefined || transport.length < 4) return undefined;
  const isIPv4 = (network[0] ?? 0) >> 4 === 4;
  const [at, length] = isIPv4 ? [12, 4] : [8, 16];
  if (network.length < at + 2 * length) return undefined;
  const addressAt = (offset: number): string => {
    const parsed = ipaddr.fromByteArray([...network.subarray(offset, offset + length)]);
    return parsed instanceof ipaddr.IPv4 ? parsed.toString() : parsed.toRFC5952String();
  };
  const ports = Buffer.from(transport);
  return {
    source: { address: addressAt(at), port: ports.readUInt16BE(0) },
    destination: { address: addressAt(at + length), port: ports.readUInt16BE(2) },
  };
}

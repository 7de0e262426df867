import { eachAttribute } from '../netlink/attributes.ts';
import { NetlinkConnection } from '../netlink/connection.ts';
import { NETLINK_NETFILTER } from '../netlink/socket.ts';
import { writeGenericHeader } from '../netlink/transaction.ts';
import { CT_MSG, CTA, CTA_PROTO, CTA_TUPLE, IPS_SEEN_REPLY, PROTOCOL_NUMBERS } from './constants.ts';

/** CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE (nfnetlink_conntrack.h) */
const PROTOINFO = 4;
const PROTOINFO_TCP = 1;
const PROTOINFO_TCP_STATE = 1;
/** enum tcp_conntrack (nf_conntrack_tcp.h) */
const TCP_CONNTRACK_CLOSE_WAIT = 5;
/** struct nfgenmsg */
const GENERIC_HEADER_BYTES = 4;

/** What the connection tracking table of a network namespace holds on to. */
export interface ConntrackCensus {
  readonly closeWait: number;
  readonly unrepliedUdp: number;
}

type Kind = keyof ConntrackCensus | undefined;

/** Counts entries by state; costs about a second of the kernel's time for each million of them. Throws `KernelError`. */
export async function takeConntrackCensus(netns?: string): Promise<ConntrackCensus> {
  const connection = new NetlinkConnection(NETLINK_NETFILTER, netns);
  try {
    const request = {
      operation: 'list',
      object: 'tracked connections',
      type: CT_MSG.GET,
      write: (writer: Parameters<typeof writeGenericHeader>[0]) => writeGenericHeader(writer, 0),
    };
    const kinds = await connection.dump<Kind>(request, (payload) => kindOf(payload.subarray(GENERIC_HEADER_BYTES)));
    const count = (wanted: Kind) => kinds.filter((kind) => kind === wanted).length;
    return { closeWait: count('closeWait'), unrepliedUdp: count('unrepliedUdp') };
  } finally {
    connection.close();
  }
}

function kindOf(attributes: Buffer): Kind {
  let isUdp = false;
  let hasReply = false;
  let isCloseWait = false;
  eachAttribute(attributes, (type, value) => {
    if (type === CTA.TUPLE_ORIG) isUdp = protocolOf(value) === PROTOCOL_NUMBERS.UDP;
    else if (type === CTA.STATUS) hasReply = (value.readUInt32BE() & IPS_SEEN_REPLY) !== 0;
    else if (type === PROTOINFO) isCloseWait = tcpStateOf(value) === TCP_CONNTRACK_CLOSE_WAIT;
  });
  if (isCloseWait) return 'closeWait';
  return isUdp && !hasReply ? 'unrepliedUdp' : undefined;
}

function protocolOf(tuple: Buffer): number | undefined {
  return byteIn(tuple, CTA_TUPLE.PROTO, CTA_PROTO.NUM);
}

function tcpStateOf(protocolInfo: Buffer): number | undefined {
  return byteIn(protocolInfo, PROTOINFO_TCP, PROTOINFO_TCP_STATE);
}

function byteIn(container: Buffer, outer: number, inner: number): number | undefined {
  let found: number | undefined;
  eachAttribute(container, (type, value) => {
    if (type !== outer) return;
    eachAttribute(value, (nested, item) => {
      if (nested === inner) found = item[0];
    });
  });
  return found;
}

import type { ReviewedProtocol } from '../../core/service/conntrack.ts';

/** linux/netfilter/nfnetlink.h */
const NFNL_SUBSYS_CTNETLINK = 1;

/** linux/netfilter/nfnetlink_conntrack.h */
export const CT_MSG = {
  GET: (NFNL_SUBSYS_CTNETLINK << 8) | 1,
  DELETE: (NFNL_SUBSYS_CTNETLINK << 8) | 2,
} as const;

export const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, STATUS: 3, ID: 12, ZONE: 18, FILTER: 25 } as const;
/** enum ip_conntrack_status (nf_conntrack_common.h) */
export const IPS_SEEN_REPLY = 1 << 1;
export const IPS_DST_NAT = 1 << 5;
export const CTA_TUPLE = { IP: 1, PROTO: 2 } as const;
export const CTA_IP = { V4_SRC: 1, V4_DST: 2, V6_SRC: 3, V6_DST: 4 } as const;
export const CTA_PROTO = { NUM: 1, SRC_PORT: 2, DST_PORT: 3 } as const;
export const CTA_FILTER_ORIG_FLAGS = 1;
export const CTA_FILTER_REPLY_FLAGS = 2;

/** Which parts of the tuple a filter compares: net/netfilter/nf_internals.h. The kernel has filters since 5.8. */
export const FILTER_PROTO_NUM = 1 << 3;
export const FILTER_DST_PORT = 1 << 5;

/** IPPROTO_* */
export const PROTOCOL_NUMBERS = { UDP: 17, SCTP: 132 } as const satisfies Record<ReviewedProtocol, number>;

/** AF_* */
export const FAMILY_NUMBERS = { IPv4: 2, IPv6: 10 } as const;

import { NLA_F_NET_BYTEORDER } from '../netlink/attributes.ts';
import { binary, container, field, listOf, text, u16be, u32be, u8 } from '../netlink/schema.ts';

/** linux/netfilter/nfnetlink.h */
export const NFNL_SUBSYS_IPSET = 6;
/** Spoken by every kernel since 2.6.39; 7 brought nothing that we use. */
export const IPSET_PROTOCOL = 6;
/** linux/netfilter/ipset/ip_set.h */
export const IPSET_CMD = { CREATE: 2, DESTROY: 3, FLUSH: 4, SWAP: 6, LIST: 7, ADD: 9, DEL: 10, TYPE: 13 } as const;
/** List what a set is, without what is in it. */
export const IPSET_FLAG_LIST_HEADER = 1 << 2;

/** The kernel insists on the flag for everything in network byte order. */
const inNetworkOrder = (type: number): number => type | NLA_F_NET_BYTEORDER;

/** IPSET_ATTR_IPADDR_IPV4 or IPSET_ATTR_IPADDR_IPV6. */
const addressSchema = container({
  ipv4: field(inNetworkOrder(1), binary),
  ipv6: field(inNetworkOrder(2), binary),
});
export type AddressValues = ReturnType<typeof addressSchema.decode>;

/** IPSET_ATTR_*: of a set when it is made, and of a member. */
export const dataSchema = container({
  address: field(1, addressSchema),
  port: field(inNetworkOrder(4), u16be),
  portTo: field(inNetworkOrder(5), u16be),
  protocol: field(7, u8),
  /** Of a set; for members the same number means something else, which none of ours has. */
  hashSize: field(inNetworkOrder(18), u32be),
  maxElements: field(inNetworkOrder(19), u32be),
  /** How many there are; told, never asked for. */
  elements: field(inNetworkOrder(24), u32be),
});

export const memberSchema = container({
  address: field(1, addressSchema),
  port: field(inNetworkOrder(4), u16be),
  protocol: field(7, u8),
  source: field(20, addressSchema),
  sourceBits: field(21, u8),
});
export type MemberValues = ReturnType<typeof memberSchema.decode>;

export const createSchema = container({
  protocol: field(1, u8),
  name: field(2, text),
  type: field(3, text),
  revision: field(4, u8),
  family: field(5, u8),
  data: field(7, dataSchema),
});

export const changeSchema = container({
  protocol: field(1, u8),
  name: field(2, text),
  /** IPSET_ATTR_SETNAME2: what it is swapped with. */
  otherName: field(3, text),
  data: field(7, memberSchema),
});

export const listSchema = container({
  protocol: field(1, u8),
  name: field(2, text),
  type: field(3, text),
  revision: field(4, u8),
  family: field(5, u8),
  flags: field(inNetworkOrder(6), u32be),
  data: field(7, dataSchema),
  members: field(8, listOf(7, memberSchema)),
});

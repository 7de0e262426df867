/** Numbers of linux/netfilter/nf_tables.h and its neighbours, under names close to the header's. */
export const NFNL_SUBSYS_NFTABLES = 10;

const message = (number: number): number => (NFNL_SUBSYS_NFTABLES << 8) | number;
export const NFT_MSG = {
  NEWTABLE: message(0),
  GETTABLE: message(1),
  DELTABLE: message(2),
  NEWCHAIN: message(3),
  GETCHAIN: message(4),
  DELCHAIN: message(5),
  NEWRULE: message(6),
  GETRULE: message(7),
  DELRULE: message(8),
  NEWSET: message(9),
  GETSET: message(10),
  DELSET: message(11),
  NEWSETELEM: message(12),
  GETSETELEM: message(13),
  DELSETELEM: message(14),
  NEWGEN: message(15),
  GETGEN: message(16),
  TRACE: message(17),
} as const;

/** NFPROTO_IPV4 and NFPROTO_IPV6 (linux/netfilter.h); also AF_INET and AF_INET6. */
export const FAMILY_NUMBERS = { ip: 2, ip6: 10 } as const;

/** enum nf_inet_hooks, in the order of HOOKS in plan/nftables/objects.ts. */
export const HOOK_NUMBERS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

export const NFT_SET_INTERVAL = 0x4;
export const NFT_SET_MAP = 0x8;
export const NFT_SET_TIMEOUT = 0x10;
export const NFT_SET_EVAL = 0x20;
export const NFT_SET_CONCAT = 0x80;
/** NFT_DATA_VERDICT: the data type of verdict maps. */
export const NFT_DATA_VERDICT = 0xffffff00;

/** Verdicts as signed numbers (NF_*, NFT_*). */
export const VERDICT_CODES = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;

export const META_KEYS = { mark: 3, iifname: 6, l4proto: 16 } as const;
export const CT_KEYS = { state: 0, status: 2 } as const;
export const PAYLOAD_BASES = { network: 1, transport: 2 } as const;
export const DYNSET_OPERATIONS = { add: 0, update: 1, delete: 2 } as const;
/** NFTA_FIB_F_SADDR and NFTA_FIB_F_DADDR */
export const FIB_FLAGS = { saddr: 1, daddr: 2 } as const;
export const NFT_FIB_RESULT_ADDRTYPE = 3;
export const NFT_NG_RANDOM = 1;
export const NFT_HASH_JENKINS = 0;
export const NFT_NAT_DNAT = 1;
export const NF_NAT_RANGE_PROTO_RANDOM_FULLY = 0x10;
export const NFT_REJECT_ICMP_UNREACH = 0;
export const NFT_REJECT_TCP_RST = 1;
/** ICMP_PORT_UNREACH and ICMPV6_PORT_UNREACH */
export const PORT_UNREACHABLE = { ip: 3, ip6: 4 } as const;

/** nft's own numbers for its data types (enum datatypes), six bits each in a concatenation; the kernel keeps them for nft. */
export const PART_TYPES = { ipv4_addr: 7, ipv6_addr: 8, inet_proto: 12, inet_service: 13, mark: 19 } as const;
/** Bytes that each part takes in a key, padded to whole words. */
export const PART_BYTES = { ipv4_addr: 4, ipv6_addr: 16, inet_proto: 4, inet_service: 4, mark: 4 } as const;

/** Bytes of each part without the padding, as sets with ranges want them. */
export const FIELD_BYTES = { ipv4_addr: 4, ipv6_addr: 16, inet_proto: 1, inet_service: 2, mark: 4 } as const;

/** The key of `numbers` whose value is `value`. */
export function nameOf<K extends string>(
  numbers: Readonly<Record<K, number>>,
  value: number | undefined,
): K | undefined {
  return (Object.keys(numbers) as K[]).find((name) => numbers[name] === value);
}

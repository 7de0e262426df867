import type { Family } from '../../core/ip.ts';

/** linux/netlink.h */
export const NETLINK_ROUTE = 0;
/** linux/rtnetlink.h */
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
} as const;
export const RT_SCOPE_HOST = 254;
/** RTPROT_KERNEL: the route that comes with an address. */
export const KERNEL_PROTOCOL = 2;
export const FAMILY_NUMBERS: Readonly<Record<Family, number>> = { IPv4: 2, IPv6: 10 };

/**
 * Who made a route (rtm_protocol). A number that neither the kernel nor a routing daemon uses (/etc/iproute2/rt_protos):
 * it is the mark of ownership of our routes.
 */
export const ROUTE_PROTOCOL = 83;

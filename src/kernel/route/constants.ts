/** linux/netlink.h */
export const NETLINK_ROUTE = 0;
/** linux/rtnetlink.h */
export const RTM = {
  DELLINK: 17,
  GETLINK: 18,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
} as const;

/**
 * Who made a route (rtm_protocol). A number that neither the kernel nor a routing daemon uses (/etc/iproute2/rt_protos):
 * it is the mark of ownership of our routes.
 */
export const ROUTE_PROTOCOL = 83;

import { NetlinkSubscription } from '../netlink/subscription.ts';
import { isOwnPort } from '../netlink/socket.ts';
import { NETLINK_ROUTE, ROUTE_PROTOCOL, RTM } from './constants.ts';

/** RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE (linux/rtnetlink.h) */
const GROUPS = [7, 11];
/** rtm_protocol in struct rtmsg. */
const PROTOCOL_OFFSET = 5;

/**
 * Tells when another process has taken away a route of ours, or may have: when the kernel had to drop notifications.
 * Returns when `signal` aborts. Throws `KernelError`.
 */
export async function watchBoundAddresses(onLoss: () => void, signal: AbortSignal, netnsPath?: string): Promise<void> {
  const subscription = new NetlinkSubscription(NETLINK_ROUTE, GROUPS, netnsPath);
  await subscription.listen((messages) => {
    const isLoss = messages?.some(
      ({ type, portId, payload }) =>
        type === RTM.DELROUTE && payload[PROTOCOL_OFFSET] === ROUTE_PROTOCOL && !isOwnPort(portId),
    );
    if (isLoss !== false) onLoss();
  }, signal);
}

import { VIP_DEVICE } from '../../plan/kube-proxy/names.ts';
import type { Message } from '../netlink/message.ts';
import { isOwnPort } from '../netlink/own-ports.ts';
import { NetlinkSubscription } from '../netlink/subscription.ts';
import { NETLINK_ROUTE, ROUTE_PROTOCOL, RTM } from './constants.ts';

/** RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE (linux/rtnetlink.h) */
const GROUPS = [1, 5, 7, 9, 11];
const INTERFACE_GROUPS = [1, 5, 9];
/** rtm_protocol in struct rtmsg; ifa_prefixlen in struct ifaddrmsg. */
const PROTOCOL_OFFSET = 5;
const PREFIX_OFFSET = 1;
/** ifi_flags in struct ifinfomsg; IFF_UP. */
const FLAGS_OFFSET = 8;
const IFF_UP = 0x1;
const WHOLE_ADDRESS: readonly number[] = [32, 128];

/**
 * Tells when another process has taken away a route of ours, an address like those that we show, or their device, has turned
 * that on, or may have: when the kernel had to drop notifications. Returns when `signal` aborts. Throws `KernelError`.
 */
export async function watchBoundAddresses(onLoss: () => void, signal: AbortSignal, netnsPath?: string): Promise<void> {
  const subscription = new NetlinkSubscription(NETLINK_ROUTE, GROUPS, netnsPath);
  await subscription.listen((messages) => {
    if (messages?.some(isLoss) !== false) onLoss();
  }, signal);
}

/**
 * Tells when another process has changed interfaces or their addresses, or may have. Returns when `signal` aborts. Throws
 * `KernelError`.
 */
export async function watchInterfaces(onChange: () => void, signal: AbortSignal, netnsPath?: string): Promise<void> {
  const subscription = new NetlinkSubscription(NETLINK_ROUTE, INTERFACE_GROUPS, netnsPath);
  await subscription.listen((messages) => {
    if (messages?.every(({ portId }) => isOwnPort(portId)) !== true) onChange();
  }, signal);
}

function isLoss({ type, portId, payload }: Message): boolean {
  switch (type) {
    case RTM.DELROUTE:
      return payload[PROTOCOL_OFFSET] === ROUTE_PROTOCOL && !isOwnPort(portId);
    case RTM.DELADDR:
      return WHOLE_ADDRESS.includes(payload[PREFIX_OFFSET] ?? 0) && !isOwnPort(portId);
    case RTM.DELLINK:
      // Also when it was ourselves: with kube-proxy's device goes what it showed for us.
      return isVipDevice(payload);
    case RTM.NEWLINK:
      // Up, it has routes of the kernel.
      return (payload.readUInt32LE(FLAGS_OFFSET) & IFF_UP) !== 0 && isVipDevice(payload);
    default:
      return false;
  }
}

function isVipDevice(link: Buffer): boolean {
  return link.includes(`${VIP_DEVICE}\0`);
}

import { binary, container, field, text, u16, u16be, u32 } from '../netlink/schema.ts';

/** IPVS_SVC_ATTR_*. Addresses and flags have layouts of their own. */
export const serviceSchema = container({
  addressFamily: field(1, u16),
  protocol: field(2, u16),
  address: field(3, binary),
  port: field(4, u16be),
  firewallMark: field(5, u32),
  scheduler: field(6, text),
  /** struct ip_vs_flags: the bits and which of them count. */
  flags: field(7, binary),
  timeoutSeconds: field(8, u32),
  /** IPv4: the mask as it is in a packet; IPv6: its length. */
  netmask: field(9, binary),
});
export type ServiceValues = ReturnType<typeof serviceSchema.decode>;

/** IPVS_DEST_ATTR_* */
export const destinationSchema = container({
  address: field(1, binary),
  port: field(2, u16be),
  /** IP_VS_CONN_F_MASQ is 0. */
  forwardMethod: field(3, u32),
  weight: field(4, u32),
  upperThreshold: field(5, u32),
  lowerThreshold: field(6, u32),
  activeConnections: field(7, u32),
  inactiveConnections: field(8, u32),
  persistentConnections: field(9, u32),
  addressFamily: field(11, u16),
});

/** IPVS_DAEMON_ATTR_* */
const daemonSchema = container({
  state: field(1, u32),
  interfaceName: field(2, text),
  syncId: field(3, u32),
});

/** IPVS_CMD_ATTR_* */
export const commandSchema = container({
  service: field(1, serviceSchema),
  destination: field(2, destinationSchema),
  daemon: field(3, daemonSchema),
  tcpTimeoutSeconds: field(4, u32),
  tcpFinTimeoutSeconds: field(5, u32),
  udpTimeoutSeconds: field(6, u32),
});
export type CommandValues = ReturnType<typeof commandSchema.decode>;

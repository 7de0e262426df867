import type { Protocol } from '../../core/service/snapshot.ts';

/** linux/ip_vs.h */
export const IPVS_GENL_NAME = 'IPVS';
export const IPVS_GENL_VERSION = 1;
export const IPVS_CMD = {
  NEW_SERVICE: 1,
  SET_SERVICE: 2,
  DEL_SERVICE: 3,
  GET_SERVICE: 4,
  NEW_DEST: 5,
  SET_DEST: 6,
  DEL_DEST: 7,
  GET_DEST: 8,
  NEW_DAEMON: 9,
  DEL_DAEMON: 10,
  GET_DAEMON: 11,
  SET_CONFIG: 12,
  GET_CONFIG: 13,
} as const;

/** IP_VS_STATE_BACKUP: takes what another IPVS tells. */
export const IP_VS_STATE_BACKUP = 2;

export const IP_VS_SVC_F_PERSISTENT = 0x1;
/** IP_VS_SVC_F_SCHED1 to SCHED3, which mean something else to each scheduler. */
export const IP_VS_SVC_F_SCHED_MASK = 0x38;

export const AF_INET = 2;
export const AF_INET6 = 10;
/** linux/in.h */
export const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

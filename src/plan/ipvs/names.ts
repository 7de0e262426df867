import { PREFIX } from '../iptables/names.ts';

/** Every chain of IPVS mode starts with it, and no chain of iptables mode does. */
const IPVS_PREFIX = `${PREFIX}IPVS-`;

/** nat: marks what arrives from elsewhere for masquerading. */
export const SERVICES = `${IPVS_PREFIX}SERVICES`;
/** nat: marks packets to ClusterIPs that do not come from a pod. */
export const CLUSTER_IPS = `${IPVS_PREFIX}CLUSTER-IPS`;
export const MARK_MASQ = `${IPVS_PREFIX}MARK-MASQ`;
export const POSTROUTING = `${IPVS_PREFIX}POSTROUTING`;
/** mangle: the same and refusals for what this node itself sends, which IPVS takes before the table filter. */
export const OUTPUT = `${IPVS_PREFIX}OUTPUT`;
/** filter: refuses, and accepts what is for a Service. */
export const INPUT = `${IPVS_PREFIX}INPUT`;
export const REFUSE = `${IPVS_PREFIX}REFUSE`;
/** filter: lets pods and this node through, nobody else. */
export const INSIDE = `${IPVS_PREFIX}INSIDE`;
export const FORWARD = `${IPVS_PREFIX}FORWARD`;

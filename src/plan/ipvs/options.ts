import type { Scheduler } from '../../core/snapshot.ts';

/** The schedulers that Linux has (net/netfilter/ipvs), by the names that IPVS knows them by. */
export const IPVS_SCHEDULERS = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'fo',
  'ovf',
  'lblc',
  'lblcr',
  'dh',
  'sh',
  'mh',
  'sed',
  'nq',
  'twos',
] as const;
export type IpvsScheduler = (typeof IPVS_SCHEDULERS)[number];

/** 0 leaves the kernel's own. */
export interface IpvsTimeouts {
  readonly tcpSeconds: number;
  readonly tcpFinSeconds: number;
  readonly udpSeconds: number;
}

/**
 * kube-proxy's section `ipvs`. Its `excludeCIDRs` say which virtual servers are others'; we know our own, and leave all
 * others alone.
 */
export interface IpvsOptions {
  readonly scheduler: IpvsScheduler;
  readonly timeouts: IpvsTimeouts;
}

export const DEFAULT_IPVS_OPTIONS: IpvsOptions = {
  scheduler: 'rr',
  timeouts: { tcpSeconds: 0, tcpFinSeconds: 0, udpSeconds: 0 },
};

/** IP_VS_SVC_F_SCHED_SH_FALLBACK and _MH_FALLBACK: a client whose real server retires gets another one, not a refusal. */
const FALLBACK = 0x8;
/** IP_VS_SVC_F_SCHED_SH_PORT and _MH_PORT: the source port is part of what is hashed. */
const WITH_PORT = 0x10;

/** A scheduler with its options (IP_VS_SVC_F_SCHED1 to 3). */
export interface Scheduling {
  readonly scheduler: IpvsScheduler;
  readonly schedulerFlags: number;
}

/** What a Service asks for by annotation, or else what all have. `mh` hashes the port as well, as kube-proxy has it. */
export function schedulingOf(wanted: Scheduler, { scheduler }: Pick<IpvsOptions, 'scheduler'>): Scheduling {
  if (wanted === 'sourceHash') return { scheduler: 'sh', schedulerFlags: FALLBACK };
  if (wanted === 'sourcePortHash') return { scheduler: 'sh', schedulerFlags: FALLBACK | WITH_PORT };
  if (scheduler === 'mh') return { scheduler, schedulerFlags: FALLBACK | WITH_PORT };
  return { scheduler, schedulerFlags: scheduler === 'sh' ? FALLBACK : 0 };
}

/** A setting below /proc/sys. */
export interface Sysctl {
  readonly path: string;
  readonly value: string;
}

/** Without these, IPVS does not do what we say that it does. The caller records what was there before. */
export const IPVS_SYSCTLS: readonly Sysctl[] = [
  // Connections through IPVS are tracked, so that they can be masqueraded.
  { path: 'net/ipv4/vs/conntrack', value: '1' },
  // A client of a real server that is gone is sent to another one at once.
  { path: 'net/ipv4/vs/expire_nodest_conn', value: '1' },
  // So is one that should stay with a real server that has retired.
  { path: 'net/ipv4/vs/expire_quiescent_template', value: '1' },
  { path: 'net/ipv4/ip_forward', value: '1' },
];

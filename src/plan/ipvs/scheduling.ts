import type { IpvsOptions, IpvsScheduler } from '../../core/service/ipvs-options.ts';
import type { ServicePort } from '../../core/service/snapshot.ts';

/** IP_VS_SVC_F_SCHED_SH_FALLBACK and _MH_FALLBACK: a client whose real server retires gets another one, not a refusal. */
const FALLBACK = 0x8;
/** IP_VS_SVC_F_SCHED_SH_PORT and _MH_PORT: the source port is part of what is hashed. */
const WITH_PORT = 0x10;

/** A scheduler with its options (IP_VS_SVC_F_SCHED1 to 3). */
export interface Scheduling {
  readonly scheduler: IpvsScheduler;
  readonly schedulerFlags: number;
}

/** Schedulers that a Service asked for and that this kernel does not have. */
export type LackedSchedulers = ReadonlySet<string>;

/** What a Service asks for by annotation, or else what all have. `mh` for all hashes the port as well, as kube-proxy has it. */
export function schedulingOf(
  { scheduler: wanted, ipvsScheduler }: Pick<ServicePort, 'scheduler' | 'ipvsScheduler'>,
  { scheduler: usual }: Pick<IpvsOptions, 'scheduler'>,
  lacked: LackedSchedulers,
): Scheduling {
  const own = ipvsScheduler ?? (wanted === 'random' ? undefined : 'sh');
  if (own === undefined || lacked.has(own)) return withFlags(usual, usual === 'mh');
  return withFlags(own, wanted === 'sourcePortHash');
}

function withFlags(scheduler: IpvsScheduler, hashesPort: boolean): Scheduling {
  if (scheduler !== 'sh' && scheduler !== 'mh') return { scheduler, schedulerFlags: 0 };
  return { scheduler, schedulerFlags: hashesPort ? FALLBACK | WITH_PORT : FALLBACK };
}

import type { IpvsOptions, IpvsScheduler } from '../../core/ipvs-options.ts';
import type { Scheduler } from '../../core/snapshot.ts';

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

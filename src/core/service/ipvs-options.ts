import { durationMs } from '../api/meta.ts';

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

/** kube-proxy's section `ipvs`, as far as it concerns virtual servers. */
export interface IpvsOptions {
  readonly scheduler: IpvsScheduler;
  readonly timeouts: IpvsTimeouts;
}

export const DEFAULT_IPVS_OPTIONS: IpvsOptions = {
  scheduler: 'rr',
  timeouts: { tcpSeconds: 0, tcpFinSeconds: 0, udpSeconds: 0 },
};

/** The kernel counts a timeout in ticks, in 31 bits. */
const MAX_TIMEOUT_SECONDS = 2_000_000;

/** The fields of a profile that say it; durations as Kubernetes writes them. */
interface IpvsFields {
  readonly ipvs: {
    readonly scheduler: IpvsScheduler;
    readonly tcpTimeout: string;
    readonly tcpFinTimeout: string;
    readonly udpTimeout: string;
  };
}

/** What a profile says of it. */
export function ipvsOptions({ ipvs }: IpvsFields): IpvsOptions {
  const seconds = (text: string): number => Math.min(MAX_TIMEOUT_SECONDS, Math.ceil(durationMs(text) / 1_000));
  return {
    scheduler: ipvs.scheduler,
    timeouts: {
      tcpSeconds: seconds(ipvs.tcpTimeout),
      tcpFinSeconds: seconds(ipvs.tcpFinTimeout),
      udpSeconds: seconds(ipvs.udpTimeout),
    },
  };
}

import type { RenderedConfig } from '../api/node-proxy-state.ts';
import { durationMs } from '../api/meta.ts';
import { conntrackMax } from './conntrack-size.ts';
import type { Mode } from '../mode.ts';
import { servesLocalhostNodePorts } from '../service/dataplane-options.ts';
import { ROUTE_LOCALNET, type DesiredSysctl } from './sysctl.ts';
import { compareReleases } from './kernel-release.ts';

/** What the settings of a node depend on in the node itself. */
export interface KernelTraits {
  readonly cores: number;
  readonly kernelRelease: string;
}

export const STRICT_ARP_SYSCTLS = ['net.ipv4.conf.all.arp_ignore', 'net.ipv4.conf.all.arp_announce'] as const;

/** Linux 5.9 made the reuse of a connection's ports right by itself; before, it had to be turned off. */
const REUSE_FIXED = '5.9';

type Settings = Pick<RenderedConfig, 'conntrack' | 'ipvs' | 'kernel' | 'localhostNodePorts' | 'nodePortAddresses'>;

/**
 * Every setting that a node is to have in this mode, one entry a name: what the profile names wins over what the mode
 * needs, and that over the size and timeouts of connection tracking.
 */
export function desiredSysctls(mode: Mode, config: Settings, traits: KernelTraits): readonly DesiredSysctl[] {
  const chosen = new Map<string, DesiredSysctl>();
  const named = config.kernel.sysctls.filter(({ whenModes }) => whenModes.length === 0 || whenModes.includes(mode));
  const all: DesiredSysctl[] = [
    ...conntrackSysctls(config.conntrack, traits),
    ...modeSysctls(mode, config, traits),
    ...localhostSysctls(mode, config),
    ...named.map(({ name, value, compare }) => ({ name, value, compare, source: 'profile' as const })),
  ];
  for (const each of all) chosen.set(each.name, each);
  return [...chosen.values()];
}

/** The settings that are to be what they were before we came. */
export function restoredSysctls({ ipvs, kernel, localhostNodePorts }: Settings): readonly string[] {
  const isNamed = kernel.sysctls.some(({ name }) => name === ROUTE_LOCALNET);
  return [
    ...(ipvs.strictARP === 'Restored' ? STRICT_ARP_SYSCTLS : []),
    ...(localhostNodePorts || isNamed ? [] : [ROUTE_LOCALNET]),
  ];
}

/** Where another mode does not serve them the setting stays: connections of before still need it. */
function localhostSysctls(mode: Mode, config: Settings): DesiredSysctl[] {
  if (!servesLocalhostNodePorts(mode, config)) return [];
  return [{ name: ROUTE_LOCALNET, value: '1', compare: 'Equal', source: 'extra' }];
}

function modeSysctls(mode: Mode, { ipvs }: Settings, { kernelRelease }: KernelTraits): DesiredSysctl[] {
  const equal = (name: string, value: string): DesiredSysctl => ({ name, value, compare: 'Equal', source: 'mode' });
  // Every mode sends connections on to pods. IPv6 forwarding is left alone: turning it on stops a host from heeding router
  // advertisements, by which it may have its own route.
  const forward = equal('net.ipv4.ip_forward', '1');
  if (mode !== 'ipvs') return [forward];
  const [ignore, announce] = STRICT_ARP_SYSCTLS;
  return [
    forward,
    // Connections through IPVS are tracked, so that they can be masqueraded.
    equal('net.ipv4.vs.conntrack', '1'),
    // A client of a real server that is gone, or retires, is sent to another one.
    equal('net.ipv4.vs.expire_nodest_conn', '1'),
    equal('net.ipv4.vs.expire_quiescent_template', '1'),
    ...(compareReleases(kernelRelease, REUSE_FIXED) < 0 ? [equal('net.ipv4.vs.conn_reuse_mode', '0')] : []),
    ...(ipvs.strictARP === 'Enforced' ? [equal(ignore, '1'), equal(announce, '2')] : []),
  ];
}

function conntrackSysctls(conntrack: RenderedConfig['conntrack'], { cores }: KernelTraits): DesiredSysctl[] {
  const of = (name: string, value: number, compare: DesiredSysctl['compare']): DesiredSysctl[] =>
    value === 0
      ? []
      : [{ name: `net.netfilter.nf_conntrack_${name}`, value: String(value), compare, source: 'conntrack' }];
  const seconds = (text: string) => Math.ceil(durationMs(text) / 1_000);
  const max = conntrackMax(conntrack, cores);
  return [
    // kube-proxy writes hashsize below /sys/module; since Linux 4.8 the same is a sysctl.
    ...of('buckets', Math.ceil(max / 4), 'AtLeast'),
    ...of('max', max, 'AtLeast'),
    ...of('tcp_timeout_established', seconds(conntrack.tcpEstablishedTimeout), 'Equal'),
    ...of('tcp_timeout_close_wait', seconds(conntrack.tcpCloseWaitTimeout), 'Equal'),
    ...of('tcp_be_liberal', conntrack.tcpBeLiberal ? 1 : 0, 'Equal'),
    ...of('udp_timeout', seconds(conntrack.udpTimeout), 'Equal'),
    ...of('udp_timeout_stream', seconds(conntrack.udpStreamTimeout), 'Equal'),
  ];
}

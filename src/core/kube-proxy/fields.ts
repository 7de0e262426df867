import { proxyProfileSpec } from '../api/proxy-profile.ts';
import type { Mode } from '../mode.ts';

/** What becomes of one field of a KubeProxyConfiguration. */
export type FieldOutcome =
  | { readonly kind: 'carry'; readonly to: string; readonly value: unknown; readonly note?: string }
  | { readonly kind: 'leave'; readonly reason: string }
  /** The value says what kube-proxy, and Switchyard, do anyway. */
  | { readonly kind: 'default' };

export interface ImportContext {
  readonly mode: Mode;
}

type Rule = (value: unknown, context: ImportContext) => FieldOutcome;

export const DEFAULT: FieldOutcome = { kind: 'default' };

export function leave(reason: string): FieldOutcome {
  return { kind: 'leave', reason };
}

/** Carried as it is, under another or the same name. */
function same(to: string): Rule {
  return (value) => ({ kind: 'carry', to, value });
}

function unlessEmpty(to: string): Rule {
  return (value) => (value === '' ? DEFAULT : { kind: 'carry', to, value });
}

/** Left out with this reason, unless the value is one of those that kube-proxy has by itself. */
function unless(defaults: readonly unknown[], reason: string): Rule {
  return (value) => (defaults.includes(value) ? DEFAULT : leave(reason));
}

/** What kube-proxy has once a mode and a profile has once: only that of the chosen mode counts. */
function ofModes(modes: readonly Mode[], to: string): Rule {
  return (value, { mode }) => {
    if (modes.includes(mode)) return { kind: 'carry', to, value };
    const isUsual = value === false || value === 14;
    return isUsual
      ? DEFAULT
      : leave(`kube-proxy does not read it in ${mode} mode; a profile has one ${to} for every mode`);
  };
}

const NO_PERIODS =
  'changes are programmed as they come and rules are guarded against others, so there is no period to set';
const AGENT_FLAG = (flag: string): string => `belongs to the process: start the agent with ${flag}`;
export const NOT_NEEDED = 'nothing in Switchyard works like this, and nothing needs it';
export const WINDOWS = 'Windows nodes are not managed';

/** A duration as Go prints it; the API server of a profile takes ms, s, m and h. */
function duration(to: string): Rule {
  return (value) => {
    if (typeof value === 'string' && /^(\d+(\.\d+)?(ms|s|m|h))+$/.test(value)) return { kind: 'carry', to, value };
    return leave('is no duration that a profile can hold (such as 90s or 1h0m0s)');
  };
}

/** By path; a value that kube-proxy has by itself needs no place. */
export const FIELD_RULES: Readonly<Record<string, Rule>> = {
  mode: (value, { mode }) => ({
    kind: 'carry',
    to: 'mode',
    value: mode,
    ...(value === '' ? { note: 'kube-proxy takes an empty mode for iptables' } : {}),
  }),
  detectLocalMode: unlessEmpty('detectLocalMode'),
  'detectLocal.bridgeInterface': unlessEmpty('detectLocal.bridgeInterface'),
  'detectLocal.interfaceNamePrefix': unlessEmpty('detectLocal.interfaceNamePrefix'),
  clusterCIDR: same('clusterCIDR'),
  nodePortAddresses: same('nodePortAddresses'),
  'iptables.masqueradeAll': ofModes(['iptables', 'ipvs'], 'masqueradeAll'),
  'iptables.masqueradeBit': ofModes(['iptables', 'ipvs'], 'masqueradeBit'),
  'iptables.localhostNodePorts': localhostNodePorts,
  'iptables.syncPeriod': unless(['0s', '30s'], NO_PERIODS),
  'iptables.minSyncPeriod': unless(['0s', '1s'], NO_PERIODS),
  'nftables.masqueradeAll': ofModes(['nftables'], 'masqueradeAll'),
  'nftables.masqueradeBit': ofModes(['nftables'], 'masqueradeBit'),
  'nftables.syncPeriod': unless(['0s', '30s'], NO_PERIODS),
  'nftables.minSyncPeriod': unless(['0s', '1s'], NO_PERIODS),
  'ipvs.scheduler': unlessEmpty('ipvs.scheduler'),
  'ipvs.strictARP': (value) =>
    value === true
      ? { kind: 'carry', to: 'ipvs.strictARP', value: 'Enforced', note: 'in IPVS mode only, as in kube-proxy' }
      : DEFAULT,
  'ipvs.excludeCIDRs': same('ipvs.excludeCIDRs'),
  'ipvs.tcpTimeout': duration('ipvs.tcpTimeout'),
  'ipvs.tcpFinTimeout': duration('ipvs.tcpFinTimeout'),
  'ipvs.udpTimeout': duration('ipvs.udpTimeout'),
  'ipvs.syncPeriod': unless(['0s', '30s'], NO_PERIODS),
  'ipvs.minSyncPeriod': unless(['0s', '1s'], NO_PERIODS),
  'conntrack.maxPerCore': same('conntrack.maxPerCore'),
  'conntrack.min': same('conntrack.min'),
  'conntrack.tcpEstablishedTimeout': duration('conntrack.tcpEstablishedTimeout'),
  'conntrack.tcpCloseWaitTimeout': duration('conntrack.tcpCloseWaitTimeout'),
  'conntrack.tcpBeLiberal': same('conntrack.tcpBeLiberal'),
  'conntrack.udpTimeout': duration('conntrack.udpTimeout'),
  'conntrack.udpStreamTimeout': duration('conntrack.udpStreamTimeout'),
  hostnameOverride: unless([''], AGENT_FLAG('--node-name NAME')),
  healthzBindAddress: unless(['', '0.0.0.0:10256', '[::]:10256'], AGENT_FLAG('--healthz-bind-address ADDRESS')),
  metricsBindAddress: unless(['', '127.0.0.1:10249', '[::1]:10249'], AGENT_FLAG('--metrics-bind-address ADDRESS')),
  'clientConnection.kubeconfig': unless([''], AGENT_FLAG('--kubeconfig FILE, or let it use its service account')),
  'clientConnection.acceptContentTypes': unless([''], 'the agent speaks JSON'),
  'clientConnection.contentType': unless(['', 'application/vnd.kubernetes.protobuf'], 'the agent speaks JSON'),
  'clientConnection.qps': unless([0, 5], 'the agent makes a handful of requests and needs no limit'),
  'clientConnection.burst': unless([0, 10], 'the agent makes a handful of requests and needs no limit'),
  'logging.format': unless(['', 'text'], 'the agent logs JSON lines'),
  'logging.flushFrequency': unless([0, '0s', '5s', 5_000_000_000], 'log lines are written at once'),
  'logging.verbosity': unless([0], AGENT_FLAG('--log-level debug')),
  'logging.vmodule': unless([null], AGENT_FLAG('--log-level debug')),
  'logging.options': (value) =>
    /"splitStream":true|"infoBufferSize":"?[1-9]/.test(JSON.stringify(value))
      ? leave('the agent logs JSON lines to stdout, each at once')
      : DEFAULT,
  bindAddress: unless(
    ['', '0.0.0.0', '::'],
    'families come from the kernel, and addresses for NodePorts from nodePortAddresses',
  ),
  bindAddressHardFail: unless(
    [false],
    'a port that is taken is tried again every five seconds and never stops the data plane',
  ),
  enableProfiling: unless([false], 'the agent has no profiling endpoint'),
  showHiddenMetricsForVersion: unless([''], 'no metric is hidden'),
  oomScoreAdj: unless(
    [0, -999],
    'belongs to the pod: give the DaemonSet a priorityClassName such as system-node-critical',
  ),
  configSyncPeriod: unless(
    ['0s', '15m0s'],
    'Services and EndpointSlices are watched, and listed anew only when a watch expires',
  ),
  portRange: unless([''], 'kube-proxy does not read it either since its userspace mode is gone'),
  windowsRunAsService: unless([false], WINDOWS),
  'winkernel.networkName': unless([''], WINDOWS),
  'winkernel.sourceVip': unless([''], WINDOWS),
  'winkernel.enableDSR': unless([false], WINDOWS),
  'winkernel.rootHnsEndpointName': unless([''], WINDOWS),
  'winkernel.forwardHealthCheckVip': unless([false], WINDOWS),
  // Of versions before 1.27, still found in ConfigMaps that were upgraded many times.
  udpIdleTimeout: unless(['', '0s', '250ms'], 'was for the userspace mode, which kube-proxy lost in 1.26'),
  resourceContainer: unless(
    ['', '/kube-proxy'],
    'kube-proxy does not read it any more; containers have cgroups of their own',
  ),
  'conntrack.max': unless([0], 'kube-proxy does not read it any more; set conntrack.maxPerCore or conntrack.min'),
  cleanupAndExit: unless([false], 'is a command here: switchyard agent --cleanup'),
};

function localhostNodePorts(value: unknown, { mode }: ImportContext): FieldOutcome {
  if (value !== false) return DEFAULT;
  if ('localhostNodePorts' in proxyProfileSpec.shape) return { kind: 'carry', to: 'localhostNodePorts', value };
  return mode === 'iptables' ? leave('NodePorts never answer on localhost here') : DEFAULT;
}

/** Objects whose fields have rules of their own; anything else is a value. */
export const FIELD_GROUPS: ReadonlySet<string> = new Set(
  Object.keys(FIELD_RULES).flatMap((path) => (path.includes('.') ? [path.slice(0, path.indexOf('.'))] : [])),
);

/** Every field that the rules know, for a test that holds them against the documentation of kube-proxy. */
export const KNOWN_KUBE_PROXY_FIELDS: readonly string[] = [...Object.keys(FIELD_RULES), 'featureGates'].sort();

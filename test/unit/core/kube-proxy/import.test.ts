import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { proxyProfileSpec } from '../../../../src/core/api/proxy-profile.ts';
import { KNOWN_KUBE_PROXY_FIELDS } from '../../../../src/core/kube-proxy/fields.ts';
import { ImportError, importKubeProxyConfig } from '../../../../src/core/kube-proxy/import.ts';

type Json = Readonly<Record<string, unknown>>;

function imported(fields: Json) {
  return importKubeProxyConfig(
    { apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', kind: 'KubeProxyConfiguration', ...fields },
    'default',
  );
}

/** `a.b` as an object. */
function at(path: string, value: unknown): Json {
  const [first = '', ...rest] = path.split('.');
  return { [first]: rest.length === 0 ? value : at(rest.join('.'), value) };
}

interface Row {
  readonly field: string;
  readonly value: unknown;
  /** Where it goes and as what; absent: it is left, for a reason that matches `why`. */
  readonly to?: string;
  readonly as?: unknown;
  readonly why?: RegExp;
  readonly mode?: string;
}

/** Every field of KubeProxyConfiguration v1alpha1, removed ones that old ConfigMaps still have included, with a value that matters. */
const ROWS: readonly Row[] = [
  { field: 'mode', value: 'ipvs', to: 'mode', as: 'ipvs' },
  { field: 'detectLocalMode', value: 'NodeCIDR', to: 'detectLocalMode' },
  { field: 'detectLocal.bridgeInterface', value: 'cni0', to: 'detectLocal.bridgeInterface' },
  { field: 'detectLocal.interfaceNamePrefix', value: 'veth', to: 'detectLocal.interfaceNamePrefix' },
  { field: 'clusterCIDR', value: '10.244.0.0/16,fd00:244::/32', to: 'clusterCIDR' },
  { field: 'nodePortAddresses', value: ['10.0.0.0/8'], to: 'nodePortAddresses' },
  { field: 'nodePortAddresses', value: ['primary'], to: 'nodePortAddresses' },
  { field: 'iptables.masqueradeAll', value: true, to: 'masqueradeAll' },
  { field: 'iptables.masqueradeAll', value: true, to: 'masqueradeAll', mode: 'ipvs' },
  { field: 'iptables.masqueradeAll', value: true, mode: 'nftables', why: /does not read it in nftables mode/ },
  { field: 'iptables.masqueradeBit', value: 3, to: 'masqueradeBit' },
  { field: 'iptables.syncPeriod', value: '10s', why: /no period/ },
  { field: 'iptables.minSyncPeriod', value: '10s', why: /no period/ },
  { field: 'nftables.masqueradeAll', value: true, to: 'masqueradeAll', mode: 'nftables' },
  { field: 'nftables.masqueradeAll', value: true, why: /does not read it in iptables mode/ },
  { field: 'nftables.masqueradeBit', value: 3, to: 'masqueradeBit', mode: 'nftables' },
  { field: 'nftables.syncPeriod', value: '10s', why: /no period/ },
  { field: 'nftables.minSyncPeriod', value: '10s', why: /no period/ },
  { field: 'ipvs.scheduler', value: 'wlc', to: 'ipvs.scheduler' },
  { field: 'ipvs.scheduler', value: 'nonesuch', why: /would refuse it/ },
  { field: 'ipvs.strictARP', value: true, to: 'ipvs.strictARP', as: 'Enforced' },
  { field: 'ipvs.excludeCIDRs', value: ['10.9.0.0/16'], to: 'ipvs.excludeCIDRs' },
  { field: 'ipvs.tcpTimeout', value: '15m0s', to: 'ipvs.tcpTimeout' },
  { field: 'ipvs.tcpFinTimeout', value: '30s', to: 'ipvs.tcpFinTimeout' },
  { field: 'ipvs.udpTimeout', value: '1m0s', to: 'ipvs.udpTimeout' },
  { field: 'ipvs.syncPeriod', value: '10s', why: /no period/ },
  { field: 'ipvs.minSyncPeriod', value: '10s', why: /no period/ },
  { field: 'conntrack.maxPerCore', value: 65536, to: 'conntrack.maxPerCore' },
  { field: 'conntrack.min', value: 262144, to: 'conntrack.min' },
  { field: 'conntrack.tcpEstablishedTimeout', value: '1h0m0s', to: 'conntrack.tcpEstablishedTimeout' },
  { field: 'conntrack.tcpCloseWaitTimeout', value: '1m0s', to: 'conntrack.tcpCloseWaitTimeout' },
  { field: 'conntrack.tcpCloseWaitTimeout', value: '3us', why: /no duration/ },
  { field: 'conntrack.tcpBeLiberal', value: true, to: 'conntrack.tcpBeLiberal' },
  { field: 'conntrack.udpTimeout', value: '10s', to: 'conntrack.udpTimeout' },
  { field: 'conntrack.udpStreamTimeout', value: '2m0s', to: 'conntrack.udpStreamTimeout' },
  { field: 'conntrack.max', value: 1000, why: /maxPerCore/ },
  { field: 'hostnameOverride', value: 'n1', why: /--node-name/ },
  { field: 'healthzBindAddress', value: '127.0.0.1:10256', why: /--healthz-bind-address/ },
  { field: 'metricsBindAddress', value: '0.0.0.0:10249', why: /--metrics-bind-address/ },
  { field: 'clientConnection.kubeconfig', value: '/var/lib/kube-proxy/kubeconfig.conf', why: /--kubeconfig/ },
  { field: 'clientConnection.acceptContentTypes', value: 'x/y', why: /JSON/ },
  { field: 'clientConnection.contentType', value: 'x/y', why: /JSON/ },
  { field: 'clientConnection.qps', value: 50, why: /no limit/ },
  { field: 'clientConnection.burst', value: 50, why: /no limit/ },
  { field: 'logging.format', value: 'json', why: /JSON lines/ },
  { field: 'logging.flushFrequency', value: '1s', why: /at once/ },
  { field: 'logging.verbosity', value: 4, why: /--log-level/ },
  { field: 'logging.vmodule', value: [{ filePattern: 'x', verbosity: 4 }], why: /--log-level/ },
  { field: 'logging.options', value: { json: { splitStream: true } }, why: /stdout/ },
  { field: 'bindAddress', value: '10.0.0.1', why: /nodePortAddresses/ },
  { field: 'bindAddressHardFail', value: true, why: /tried again/ },
  { field: 'enableProfiling', value: true, why: /profiling/ },
  { field: 'showHiddenMetricsForVersion', value: '1.35', why: /hidden/ },
  { field: 'oomScoreAdj', value: -500, why: /priorityClassName/ },
  { field: 'configSyncPeriod', value: '5m0s', why: /watched/ },
  { field: 'portRange', value: '1-2', why: /userspace/ },
  { field: 'windowsRunAsService', value: true, why: /Windows/ },
  { field: 'winkernel.networkName', value: 'x', why: /Windows/ },
  { field: 'winkernel.sourceVip', value: 'x', why: /Windows/ },
  { field: 'winkernel.enableDSR', value: true, why: /Windows/ },
  { field: 'winkernel.rootHnsEndpointName', value: 'x', why: /Windows/ },
  { field: 'winkernel.forwardHealthCheckVip', value: true, why: /Windows/ },
  { field: 'udpIdleTimeout', value: '1s', why: /userspace/ },
  { field: 'resourceContainer', value: '/x', why: /cgroups/ },
  { field: 'cleanupAndExit', value: true, why: /--cleanup/ },
  { field: 'featureGates', value: { KubeProxyIPVS: true }, why: /feature gates/ },
  { field: 'nonesuch', value: 1, why: /no field/ },
];

/** What kube-proxy writes with --write-config-to: every field, with its default. */
const DEFAULTS: Json = {
  mode: 'iptables',
  bindAddress: '0.0.0.0',
  bindAddressHardFail: false,
  clientConnection: {
    acceptContentTypes: '',
    burst: 10,
    contentType: 'application/vnd.kubernetes.protobuf',
    kubeconfig: '',
    qps: 5,
  },
  clusterCIDR: '',
  configSyncPeriod: '15m0s',
  conntrack: {
    maxPerCore: 32768,
    min: 131072,
    tcpBeLiberal: false,
    tcpCloseWaitTimeout: '1h0m0s',
    tcpEstablishedTimeout: '24h0m0s',
    udpStreamTimeout: '0s',
    udpTimeout: '0s',
  },
  detectLocal: { bridgeInterface: '', interfaceNamePrefix: '' },
  detectLocalMode: 'ClusterCIDR',
  enableProfiling: false,
  healthzBindAddress: '0.0.0.0:10256',
  hostnameOverride: '',
  iptables: {
    localhostNodePorts: true,
    masqueradeAll: false,
    masqueradeBit: 14,
    minSyncPeriod: '1s',
    syncPeriod: '30s',
  },
  ipvs: {
    excludeCIDRs: null,
    minSyncPeriod: '0s',
    scheduler: '',
    strictARP: false,
    syncPeriod: '30s',
    tcpFinTimeout: '0s',
    tcpTimeout: '0s',
    udpTimeout: '0s',
  },
  logging: {
    flushFrequency: '5s',
    format: 'text',
    options: { json: { infoBufferSize: '0' }, text: { infoBufferSize: '0' } },
    verbosity: 0,
  },
  metricsBindAddress: '127.0.0.1:10249',
  nftables: { masqueradeAll: false, masqueradeBit: 14, minSyncPeriod: '1s', syncPeriod: '30s' },
  nodePortAddresses: null,
  oomScoreAdj: -999,
  portRange: '',
  showHiddenMetricsForVersion: '',
  winkernel: {
    enableDSR: false,
    forwardHealthCheckVip: false,
    networkName: '',
    rootHnsEndpointName: '',
    sourceVip: '',
  },
  windowsRunAsService: false,
};

describe('importKubeProxyConfig', () => {
  for (const { field, value, to, as, why, mode } of ROWS) {
    it(`${field}: ${JSON.stringify(value)}${mode === undefined ? '' : ` in ${mode} mode`} ${to === undefined ? 'is left' : `becomes ${to}`}`, () => {
      const { profile, carried, notCarried } = imported({
        ...(mode === undefined ? {} : { mode }),
        ...at(field, value),
      });
      proxyProfileSpec.parse(profile.spec);
      if (to === undefined) {
        const left = notCarried.find((each) => each.field.startsWith(field));
        assert.match(left?.reason ?? 'not left', why ?? /^$/);
      } else {
        assert.deepEqual(notCarried, []);
        const found = carried.find((each) => each.field === field);
        assert.deepEqual([found?.to, found?.value], [to, as ?? value]);
      }
    });
  }

  it('has a row for every field that it knows', () => {
    const tested = new Set(ROWS.map(({ field }) => field));
    const own = ['iptables.localhostNodePorts'];
    assert.deepEqual(
      KNOWN_KUBE_PROXY_FIELDS.filter((field) => !tested.has(field) && !own.includes(field)),
      [],
    );
  });

  it('makes nothing but the mode of the defaults of kube-proxy', () => {
    const { profile, notCarried } = imported(DEFAULTS);
    assert.deepEqual([profile.spec, notCarried], [{ mode: 'iptables' }, []]);
  });

  it('keeps NodePorts on the primary addresses in nftables mode, as kube-proxy has them', () => {
    assert.deepEqual(imported({ mode: 'nftables' }).profile.spec, { mode: 'nftables', nodePortAddresses: ['primary'] });
    const { spec } = imported({ mode: 'nftables', nodePortAddresses: ['10.0.0.0/8'] }).profile;
    assert.deepEqual(spec, { mode: 'nftables', nodePortAddresses: ['10.0.0.0/8'] });
  });

  it('says that no mode means iptables', () => {
    const { profile, carried } = imported({});
    assert.equal(profile.spec['mode'], 'iptables');
    assert.match(carried[0]?.note ?? '', /iptables/);
  });

  for (const [name, document, problem] of [
    ['another kind', { apiVersion: 'v1', kind: 'Pod' }, /expected a KubeProxyConfiguration/],
    ['another version', { apiVersion: 'kubeproxy.config.k8s.io/v9', kind: 'KubeProxyConfiguration' }, /v1alpha1/],
    ['no mapping', 'text', /no YAML mapping/],
    ['nothing', null, /no YAML mapping/],
  ] as const) {
    it(`refuses ${name}`, () => assert.throws(() => importKubeProxyConfig(document, 'x'), problem));
  }

  for (const mode of ['userspace', 'kernelspace', 'ebpf', 7]) {
    it(`refuses mode ${mode}`, () => assert.throws(() => imported({ mode }), ImportError));
  }
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderedConfig } from '../../../../src/core/api/node-proxy-state.ts';
import { conntrackMax, conntrackMemoryBytes } from '../../../../src/core/node/conntrack-size.ts';
import type { Mode } from '../../../../src/core/mode.ts';
import {
  isAllowedSysctl,
  isRequired,
  isSatisfied,
  ROUTE_LOCALNET,
  SYSCTL_VALUE,
  type Comparison,
} from '../../../../src/core/node/sysctl.ts';
import { desiredSysctls, restoredSysctls } from '../../../../src/core/node/sysctl-plan.ts';

describe('settings that a profile may name', () => {
  const ALLOWED = [
    'net.netfilter.nf_conntrack_max',
    'net.netfilter.nf_conntrack_tcp_timeout_close_wait',
    'net.ipv4.ip_forward',
    'net.ipv4.tcp_tw_reuse',
    'net.ipv4.vs.conn_reuse_mode',
    'net.ipv4.conf.all.arp_ignore',
    'net.ipv4.neigh.default.gc_thresh3',
    'net.core.somaxconn',
    'net.bridge.bridge-nf-call-iptables',
  ];
  const REFUSED = [
    'kernel.core_pattern',
    'kernel.modprobe',
    'vm.overcommit_memory',
    'fs.file-max',
    'net.core.bpf_jit_harden',
    'net.netfilter.nf_conntrack_count',
    'net.ipv4.conf.eth0.forwarding',
    'net.ipv4.tcp_../../../kernel.modprobe',
    'net/ipv4/ip_forward',
    'xnet.ipv4.ip_forward',
    'net.ipv4.ip_forward\nkernel.modprobe',
  ];
  for (const name of ALLOWED) it(`accepts ${name}`, () => assert.equal(isAllowedSysctl(name), true));
  for (const name of REFUSED) it(`refuses ${JSON.stringify(name)}`, () => assert.equal(isAllowedSysctl(name), false));

  it('takes numbers, ranges and lists as values, and no words', () => {
    for (const value of ['1', '-1', '4096 87380 6291456', '30000-32767,8080']) assert.match(value, SYSCTL_VALUE);
    for (const value of ['', 'cubic', '|/bin/sh', '1;2', ' 1', '1\n2']) assert.doesNotMatch(value, SYSCTL_VALUE);
  });

  it('is refused by the schema, with its path', () => {
    const sysctls = [{ name: 'kernel.modprobe', value: '1' }];
    const result = renderedConfig.safeParse({ mode: 'nftables', kernel: { sysctls } });
    assert.deepEqual(
      result.error?.issues.map(({ path }) => path.join('.')),
      ['kernel.sysctls.0.name'],
    );
  });

  it('compares one number only with AtLeast and AtMost', () => {
    const sysctls = [{ name: 'net.ipv4.tcp_rmem', value: '1 2 3', compare: 'AtLeast' }];
    assert.equal(renderedConfig.safeParse({ mode: 'nftables', kernel: { sysctls } }).success, false);
  });
});

describe('a setting', () => {
  const TABLE: readonly [compare: Comparison, wanted: string, actual: string, holds: boolean][] = [
    ['Equal', '1', '1', true],
    ['Equal', '1', '2', false],
    ['Equal', '4096 87380 6291456', '4096\t87380\t6291456', true],
    ['AtLeast', '131072', '262144', true],
    ['AtLeast', '131072', '131072', true],
    ['AtLeast', '131072', '65536', false],
    ['AtLeast', '9', '10', true],
    ['AtMost', '30', '60', false],
    ['AtMost', '30', '5', true],
    ['AtLeast', '1', 'gone', false],
  ];
  for (const [compare, value, actual, holds] of TABLE) {
    it(`${compare} ${value} ${holds ? 'holds' : 'does not hold'} with ${JSON.stringify(actual)}`, () => {
      assert.equal(isSatisfied({ name: 'n', value, compare, source: 'profile' }, actual), holds);
    });
  }
});

describe('the size of the connection tracking table', () => {
  const TABLE: readonly [name: string, maxPerCore: number, min: number, cores: number, expected: number][] = [
    ['grows with the cores', 32_768, 131_072, 8, 262_144],
    ['is the minimum on small nodes', 32_768, 131_072, 2, 131_072],
    ['is capped on large ones', 32_768, 131_072, 64, 1_048_576],
    ['has no cap on what is asked for as the minimum', 32_768, 2_000_000, 64, 2_000_000],
    ['is left alone without a number per core', 0, 131_072, 8, 0],
  ];
  for (const [name, maxPerCore, min, cores, expected] of TABLE) {
    it(name, () => assert.equal(conntrackMax({ maxPerCore, min }, cores), expected));
  }

  it('has a price', () => {
    assert.equal(conntrackMemoryBytes(1_000, 250), 450_000);
  });
});

describe('the settings of a mode', () => {
  const plan = (mode: Mode, config: object = {}, kernelRelease = '6.1.0') =>
    new Map(
      desiredSysctls(mode, renderedConfig.parse({ mode: 'nftables', ...config }), { cores: 4, kernelRelease }).map(
        (each) => [each.name, each],
      ),
    );

  it("has kube-proxy's conntrack defaults", () => {
    const settings = plan('nftables');
    const value = (name: string) => settings.get(`net.netfilter.nf_conntrack_${name}`)?.value;
    assert.equal(value('max'), '131072');
    assert.equal(value('buckets'), '32768');
    assert.equal(value('tcp_timeout_established'), '86400');
    assert.equal(value('tcp_timeout_close_wait'), '3600');
    for (const name of ['tcp_be_liberal', 'udp_timeout', 'udp_timeout_stream']) assert.equal(value(name), undefined);
    assert.equal(settings.get('net.netfilter.nf_conntrack_max')?.compare, 'AtLeast');
  });

  it('forwards in every mode, and needs more in IPVS mode', () => {
    assert.equal(plan('iptables').get('net.ipv4.ip_forward')?.value, '1');
    assert.equal(plan('iptables').has('net.ipv4.vs.conntrack'), false);
    assert.equal(plan('ipvs').get('net.ipv4.vs.conntrack')?.value, '1');
    assert.equal(plan('ipvs').has('net.ipv4.vs.conn_reuse_mode'), false);
    assert.equal(plan('ipvs', {}, '5.8.0').get('net.ipv4.vs.conn_reuse_mode')?.value, '0');
  });

  it('lets the profile win, in the modes that it names', () => {
    const sysctls = [
      { name: 'net.ipv4.ip_forward', value: '0', whenModes: ['iptables'] },
      { name: 'net.netfilter.nf_conntrack_max', value: '1000000', compare: 'AtLeast' },
    ];
    const settings = plan('nftables', { kernel: { sysctls } });
    assert.equal(settings.get('net.ipv4.ip_forward')?.source, 'mode');
    assert.deepEqual(
      [settings.get('net.netfilter.nf_conntrack_max')?.value, settings.get('net.netfilter.nf_conntrack_max')?.source],
      ['1000000', 'profile'],
    );
    assert.equal(plan('iptables', { kernel: { sysctls } }).get('net.ipv4.ip_forward')?.value, '0');
  });

  const LOCALHOST: readonly [name: string, mode: Mode, config: object, isSet: boolean, isRestored: boolean][] = [
    ['lets packets from localhost out, for NodePorts there', 'iptables', {}, true, false],
    ['does so in nftables mode as well', 'nftables', { nodePortAddresses: ['fd00::/64'] }, true, false],
    ['leaves it in IPVS mode, for connections of before', 'ipvs', {}, false, false],
    ['needs it for loopback addresses in the list', 'iptables', { nodePortAddresses: ['127.0.0.0/16'] }, true, false],
    ['does not where localhost is not in the list', 'iptables', { nodePortAddresses: ['10.0.0.0/8'] }, false, false],
    ['does not for primary addresses', 'nftables', { nodePortAddresses: ['primary'] }, false, false],
    ['puts it back where localhost is switched off', 'iptables', { localhostNodePorts: false }, false, true],
  ];
  for (const [name, mode, config, isSet, isRestored] of LOCALHOST) {
    it(name, () => {
      const setting = plan(mode, config).get(ROUTE_LOCALNET);
      assert.deepEqual([setting?.value, setting && isRequired(setting)], isSet ? ['1', false] : [undefined, undefined]);
      const restored = restoredSysctls(renderedConfig.parse({ mode: 'nftables', ...config }));
      assert.equal(restored.includes(ROUTE_LOCALNET), isRestored);
    });
  }

  it('keeps the same setting where the profile names it', () => {
    const kernel = { sysctls: [{ name: ROUTE_LOCALNET, value: '1' }] };
    assert.deepEqual(
      restoredSysctls(renderedConfig.parse({ mode: 'iptables', localhostNodePorts: false, kernel })),
      [],
    );
  });

  it('enforces strict ARP in IPVS mode only, and restores it where asked to', () => {
    const enforced = { ipvs: { strictARP: 'Enforced' } };
    assert.equal(plan('ipvs', enforced).get('net.ipv4.conf.all.arp_announce')?.value, '2');
    assert.equal(plan('nftables', enforced).has('net.ipv4.conf.all.arp_announce'), false);
    const restored = renderedConfig.parse({ mode: 'nftables', ipvs: { strictARP: 'Restored' } });
    assert.equal(restoredSysctls(restored).length, 2);
  });
});

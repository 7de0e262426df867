import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderedConfig } from '../../../../src/core/api/node-proxy-state.ts';
import { modulesFor, type ModuleState } from '../../../../src/core/node/module.ts';
import { lacksFor, warningsFor, type LackReason, type NodeFindings } from '../../../../src/core/node/preflight.ts';

const capable: NodeFindings = {
  kernelRelease: '6.1.0-1-cloud-amd64',
  cores: 4,
  traits: { families: ['IPv4', 'IPv6'], iptablesFlavour: 'nft' },
  tools: [
    { name: 'iptables-save', flavour: 'nft' },
    { name: 'iptables-restore', flavour: 'nft' },
    { name: 'modprobe' },
  ],
  moduleState: () => 'loadable',
  readSysctl: () => '1',
  isSysctlWritable: () => true,
  mayLoadModules: true,
  legacyTables: [],
  mayOpenRawSockets: true,
};
const only = (name: string, state: ModuleState) => (need: { readonly name: string }) =>
  need.name === name ? state : 'builtIn';

interface Case {
  readonly name: string;
  readonly config?: object;
  readonly node: Partial<NodeFindings>;
  readonly expected: readonly (readonly [LackReason, RegExp])[];
}

const TABLE: readonly Case[] = [
  { name: 'lacks nothing', node: {}, expected: [] },
  { name: 'has everything built in', node: { moduleState: () => 'builtIn', mayLoadModules: false }, expected: [] },
  { name: 'tells nothing of its modules', node: { moduleState: () => 'unknown', mayLoadModules: false }, expected: [] },
  {
    name: 'has an old kernel',
    node: { kernelRelease: '5.10.0' },
    expected: [['KernelTooOld', /5\.13 or later; this is 5\.10/]],
  },
  {
    name: 'has a kernel that is old enough for iptables',
    config: { mode: 'iptables' },
    node: { kernelRelease: '5.10.0' },
    expected: [],
  },
  {
    name: 'lacks a module',
    node: { moduleState: only('nft_numgen', 'absent') },
    expected: [['ModuleMissing', /nft_numgen.*linux-modules-extra-6\.1\.0-1-cloud-amd64.*CONFIG_NFT_NUMGEN/]],
  },
  {
    name: 'lacks a module that the profile names',
    config: { kernel: { modules: { extra: ['br-netfilter'] } } },
    node: { moduleState: only('br_netfilter', 'absent') },
    expected: [['ModuleMissing', /br_netfilter/]],
  },
  {
    name: 'may not load modules',
    node: { moduleState: only('nft_ct', 'loadable'), mayLoadModules: false },
    expected: [['ModuleMissing', /SYS_MODULE.*--init-only/]],
  },
  {
    name: 'has no kmod',
    node: { tools: [], moduleState: only('nft_ct', 'loadable') },
    expected: [['ToolMissing', /apt-get install kmod/]],
  },
  {
    name: 'has no iptables',
    config: { mode: 'iptables' },
    node: { tools: [{ name: 'modprobe' }] },
    expected: [
      ['ToolMissing', /iptables-save/],
      ['ToolMissing', /iptables-restore/],
    ],
  },
  {
    name: 'has a read-only /proc/sys that is as wanted',
    node: { isSysctlWritable: () => false },
    expected: [],
  },
  {
    name: 'has a read-only /proc/sys that is not as wanted',
    node: { isSysctlWritable: () => false, readSysctl: () => '0' },
    expected: [['SysctlReadOnly', /net\.ipv4\.ip_forward is 0 and should be 1.*--proc-sys-dir/]],
  },
];

describe('preflight finds that a node', () => {
  for (const { name, config = {}, node, expected } of TABLE) {
    it(name, () => {
      const lacks = lacksFor(renderedConfig.parse({ mode: 'nftables', ...config }), { ...capable, ...node });
      assert.deepEqual(
        lacks.map(({ reason }) => reason),
        expected.map(([reason]) => reason),
      );
      lacks.forEach(({ message }, index) => assert.match(message, expected[index]?.[1] ?? /^$/));
    });
  }
});

describe('the modules of a mode', () => {
  const names = (config: object, flavour: 'nft' | 'legacy' = 'nft') => {
    const parsed = renderedConfig.parse({ mode: 'nftables', ...config });
    return (mode: 'iptables' | 'ipvs' | 'nftables') =>
      modulesFor(mode, parsed, { families: ['IPv4'], iptablesFlavour: flavour }).map(({ name }) => name);
  };

  it('are only what it, its scheduler and the profile need', () => {
    assert.ok(!names({})('nftables').some((name) => name.startsWith('xt_') || name.startsWith('ip_vs')));
    assert.ok(names({ ipvs: { scheduler: 'mh' } })('ipvs').includes('ip_vs_mh'));
    assert.ok(!names({})('iptables').includes('ip_vs_rr'));
    assert.ok(names({ kernel: { modules: { extra: ['br-netfilter'] } } })('nftables').includes('br_netfilter'));
  });

  it('follow the flavour of iptables and the families', () => {
    assert.ok(names({}, 'legacy')('iptables').includes('iptable_nat'));
    assert.ok(!names({}, 'nft')('iptables').includes('iptable_nat'));
    assert.ok(!names({})('nftables').includes('nft_fib_ipv6'));
  });
});

describe('preflight warns', () => {
  const legacy = capable.tools.map(({ name }) => ({ name, flavour: 'legacy' }) as const);
  const half = [...capable.tools.slice(0, 1), ...legacy.slice(1, 2)];
  const TABLE: readonly { name: string; mode?: string; node: Partial<NodeFindings>; expected: readonly RegExp[] }[] = [
    { name: 'of nothing on a usual node', node: {}, expected: [] },
    {
      name: 'of tables in the other flavour',
      node: { legacyTables: ['filter', 'nat'] },
      expected: [/filter, nat.*both/],
    },
    {
      name: 'of tables that it cannot read',
      node: { legacyTables: ['nat'], mayOpenRawSockets: false },
      expected: [/NET_RAW/],
    },
    { name: 'of nothing where legacy is used', node: { legacyTables: ['nat'], tools: legacy }, expected: [] },
    { name: 'of programs in two flavours', node: { tools: half }, expected: [/different flavours/] },
    { name: 'of nothing for nftables', mode: 'nftables', node: { legacyTables: ['nat'], tools: half }, expected: [] },
  ];
  for (const { name, mode = 'iptables', node, expected } of TABLE) {
    it(name, () => {
      const warnings = warningsFor(renderedConfig.parse({ mode }), { ...capable, ...node });
      assert.equal(warnings.length, expected.length, warnings.join('; '));
      for (const [index, pattern] of expected.entries()) assert.match(warnings[index] ?? '', pattern);
    });
  }
});

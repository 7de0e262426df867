import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { renderedConfig } from '../../../src/core/api/node-proxy-state.ts';
import { modulesFor } from '../../../src/core/node/module.ts';
import { IMPLEMENTED_MODES, MODES } from '../../../src/core/mode.ts';
import { ModuleIndex } from '../../../src/kernel/module-index.ts';
import { BareNode, differences, isLoaded, reach, sh, snapshot, sysctl } from './bare-node.ts';

describe('a node with a bare kernel', () => {
  const node = new BareNode();
  const { api } = node;

  before(async () => {
    await node.prepare();
    await api.listen();
  });
  afterEach(() => node.stop('SIGKILL'));
  after(() => node.destroy());

  it('has every module that a mode names', async () => {
    const index = new ModuleIndex({ kernelRelease: (await sh('uname -r')).trim() });
    const config = renderedConfig.parse({ mode: 'nftables' });
    for (const mode of MODES) {
      const needs = modulesFor(mode, config, { families: ['IPv4', 'IPv6'], iptablesFlavour: 'nft' });
      assert.deepEqual(
        needs.filter((need) => index.state(need) === 'absent').map(({ name }) => name),
        [],
        mode,
      );
    }
  });

  const expectStrictArp = async (kernel: object) => {
    const found = () => ['arp_ignore', 'arp_announce'].map((name) => sysctl(`net.ipv4.conf.all.${name}`));
    for (const [strictARP, expected] of [
      ['Enforced', ['1', '2']],
      ['Unmanaged', ['1', '2']],
      ['Restored', ['0', '0']],
    ] as const) {
      api.want({ mode: 'ipvs', kernel, ipvs: { strictARP } });
      await node.untilReason('Ready', 'Ready');
      assert.deepEqual(found(), expected, strictARP);
    }
  };

  for (const mode of IMPLEMENTED_MODES) {
    it(`serves in ${mode} mode because of one resource, and is bare again after release`, async () => {
      const bare = await snapshot();
      const kernel = {
        modules: { extra: ['br_netfilter'] },
        sysctls: [
          { name: 'net.netfilter.nf_conntrack_max', value: '777216', compare: 'AtLeast' },
          { name: 'net.bridge.bridge-nf-call-iptables', value: '0' },
          { name: 'net.core.netdev_max_backlog', value: '4321' },
        ],
      };
      node.start();
      api.want({ mode, kernel });
      await node.untilReason('Ready', 'Ready');
      assert.equal(await reach(), 'hello');
      assert.ok(Number(sysctl('net.netfilter.nf_conntrack_max')) >= 777_216);
      assert.ok(isLoaded('nf_conntrack') && isLoaded('br_netfilter'));
      assert.match(readFileSync('/etc/modules-load.d/switchyard.conf', 'utf8'), /^nf_conntrack$/m);
      assert.match(readFileSync('/etc/sysctl.d/99-switchyard.conf', 'utf8'), /^net\.core\.netdev_max_backlog = 4321$/m);
      assert.deepEqual(
        api.status?.sysctls?.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`])),
        [],
      );
      if (mode === 'ipvs') await expectStrictArp(kernel);
      api.want({ mode, kernel }, 'Release');
      await node.untilReason('Applied', 'Released');
      await node.stop('SIGTERM');
      assert.deepEqual(differences(bare, await snapshot()), []);
    });
  }

  it('is not touched where a module is missing, says which, and serves once it is there', async () => {
    const dependencies = `/lib/modules/${(await sh('uname -r')).trim()}/modules.dep`;
    const known = readFileSync(dependencies, 'utf8');
    api.reasons.length = 0;
    api.want({ kernel: { modules: { extra: ['nosuch'] } } });
    node.start();
    await node.untilTrue('it has looked at the kernel', () => node.log.includes('found what this node ran before'));
    const looked = await snapshot();
    const untilMissing = async (message: RegExp) => {
      await node.untilReason('PreflightPassed', 'ModuleMissing');
      await node.untilReason('Applied', 'PreflightFailed');
      assert.match(node.condition('PreflightPassed')?.message ?? '', message);
      const found = differences(looked, await snapshot());
      assert.deepEqual(
        found.filter((line) => !/originals\.json|state\.json/.test(line)),
        [],
      );
    };
    try {
      await untilMissing(/nosuch.*linux-modules-extra/);
      await node.untilTrue('the events are there', () =>
        ['ModuleMissing', 'SwitchFailed'].every((reason) => api.reasons.includes(reason)),
      );
      writeFileSync(dependencies, known.replace(/^.*\/nft_numgen\.ko:.*\n/m, ''));
      api.want({ mode: 'nftables' });
      await untilMissing(/nft_numgen.*linux-modules-extra.*CONFIG_NFT_NUMGEN/);
    } finally {
      writeFileSync(dependencies, known);
    }
    await node.untilReason('Ready', 'Ready');
    api.want({}, 'Release');
    await node.untilReason('Applied', 'Released');
    await node.stop('SIGTERM');
  });

  it('gets back a module that somebody unloads, and comes back from --cleanup when the agent was killed', async () => {
    node.start();
    api.want({ kernel: { modules: { extra: ['br_netfilter'] } } });
    await node.untilReason('Ready', 'Ready');
    await sh('rmmod br_netfilter');
    await node.untilReason('Drifted', 'ModuleUnloaded');
    assert.ok(isLoaded('br_netfilter'));
    assert.ok(api.reasons.includes('DriftDetected'));
    await node.stop('SIGKILL');
    await sh('bin/switchyard agent --cleanup');
    assert.equal(isLoaded('br_netfilter'), false);
    assert.equal(isLoaded('nf_conntrack'), false);
    assert.notEqual(await reach(), 'hello');
  });
});

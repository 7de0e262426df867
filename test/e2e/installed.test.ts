import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { commandsOf } from '../chart/readme-commands.ts';
import { SKIP_WITHOUT_RENDERER, useRenderer } from '../chart/use-renderer.ts';
import { CLUSTER_IP } from './agent-ground.ts';
import { engineIsMissing } from './container-engine.ts';
import { InstalledGround, KUBECTL_FOLDER } from './installed-ground.ts';

const SKIP = engineIsMissing() ?? SKIP_WITHOUT_RENDERER;
const SKIP_WITHOUT_KUBECTL = existsSync(KUBECTL_FOLDER) ? false : 'no kubectl in .cache: run it through npm test';
const SKIP_WITHOUT_LEGACY = existsSync('/usr/sbin/iptables-legacy-save') ? false : 'no iptables-legacy on this machine';
const QUICK = { maxUnavailable: 1, batchSoak: '1s', canary: { count: 1, soak: '1s' } };

/** The effective capabilities and the seccomp mode of the agent's process, found by its arguments. */
function privilegesOf(flag: string): { readonly capabilities: bigint; readonly seccomp: string } {
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    try {
      const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (!program.endsWith('node') || !args.includes(flag)) continue;
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const capabilities = BigInt(`0x${/^CapEff:\s*(\S+)$/m.exec(status)?.[1] ?? '0'}`);
      return { capabilities, seccomp: /^Seccomp:\s*(\S+)$/m.exec(status)?.[1] ?? '' };
    } catch {
      continue;
    }
  }
  throw new Error(`no process with ${flag}`);
}

const NET_ADMIN = 1n << 12n;
const NET_RAW = 1n << 13n;
const SYS_MODULE = 1n << 16n;

describe('the chart in a cluster, its containers from the image', { skip: SKIP, timeout: 300_000 }, () => {
  const renderer = useRenderer();
  let ground: InstalledGround;

  before(async () => {
    ground = await InstalledGround.create(renderer());
    await ground.run('switchyard-controller', ground.agents.testbed.node('n2'));
    await ground.run('switchyard-agent', ground.agents.node, 'n1');
  });
  after(() => ground?.destroy());

  const untilAvailable = (mode: string): Promise<true> =>
    ground.until(`the profile is available in ${mode} mode`, async () => {
      const conditions = (await ground.profile())?.status?.conditions ?? [];
      const isAvailable = conditions.some(({ type, status }) => type === 'Available' && status === 'True');
      return isAvailable && (await ground.state())?.status?.current?.mode === mode ? true : undefined;
    });
  const reach = async (): Promise<string> => {
    const { testbed, node } = ground.agents;
    return (await probe(testbed, node, { protocol: 'TCP', address: CLUSTER_IP, port: 80 })).outcome;
  };

  it('comes from an image without a shell, which says what is in it and under which terms', () => {
    const rootfs = ground.agents.path('rootfs');
    for (const shell of ['bin/sh', 'bin/bash', 'bin/dash', 'usr/bin/dpkg'])
      assert.ok(!existsSync(`${rootfs}/${shell}`));
    const packages = readdirSync(`${rootfs}/var/lib/dpkg/status.d`);
    const terms = readdirSync(`${rootfs}/usr/share/licenses`);
    assert.ok(['iptables', 'nftables', 'ipset', 'kmod', 'libc6'].every((name) => packages.includes(name)));
    assert.deepEqual(
      packages.filter((name) => !terms.includes(name)),
      [],
    );
    assert.ok(terms.includes('node'));
    assert.match(readFileSync(`${rootfs}/etc/os-release`, 'utf8'), /^ID=/m);
    assert.ok(existsSync(`${rootfs}/opt/switchyard/node_modules/undici/LICENSE`));
  });

  it('plans, and touches no node before the profile is edited', async () => {
    const plan = await ground.until('there is a plan', async () => {
      const planned = (await ground.profile())?.status?.plan ?? [];
      return planned.length > 0 ? planned : undefined;
    });
    assert.deepEqual(
      plan.map(({ node, to }) => [node, to]),
      [['n1', 'nftables']],
    );
    assert.equal(await ground.agents.rules(), '');
  });

  it('serves under exactly the privileges of the chart, in one mode and then in the other', async () => {
    for (const mode of ['nftables', 'iptables']) {
      await ground.editProfile({ mode, rollout: { ...QUICK, dryRun: false } });
      await untilAvailable(mode);
      assert.equal(await reach(), 'ok', mode);
    }
    const { capabilities, seccomp } = privilegesOf('--proc-sys-dir=/host/proc/sys');
    assert.equal(capabilities, NET_ADMIN | SYS_MODULE);
    assert.equal(seccomp, '2', 'a filter');
  });

  it('does what the README says, command by command', { skip: SKIP_WITHOUT_KUBECTL }, async () => {
    const commands = commandsOf('README.md', '## Move the nodes');
    assert.ok(commands.length >= 10, commands.join('\n'));
    for (const command of commands) {
      // Without a kube-proxy to give the node to, that would wait for ever.
      const isGivenBack = command.includes('GiveBack');
      await ground.shell(isGivenBack ? `${command} --dry-run=server` : command);
      if (command.includes('"mode":"nftables"')) await untilAvailable('nftables');
    }
    await untilAvailable('iptables');
    assert.equal(await reach(), 'ok');
  });

  it('serves with iptables-legacy, and without the right to load modules', { skip: SKIP_WITHOUT_LEGACY }, async () => {
    await ground.stop('switchyard-agent');
    assert.equal(await reach(), 'ok', 'the rules stay while no agent runs');
    await ground.editProfile({ mode: 'nftables', rollout: { ...QUICK, dryRun: false } });
    await ground.install({ iptables: 'legacy', initContainer: true });
    await ground.run('switchyard-agent', ground.agents.node, 'n1');
    await untilAvailable('nftables');
    await ground.editProfile({ mode: 'iptables', rollout: { ...QUICK, dryRun: false } });
    await untilAvailable('iptables');
    assert.equal(await reach(), 'ok');
    const { testbed, node } = ground.agents;
    assert.match((await testbed.exec(node, ['iptables-legacy-save'])).stdout, /SWITCHYARD/);
    assert.equal(privilegesOf('--proc-sys-dir=/host/proc/sys').capabilities, NET_ADMIN | NET_RAW);
  });

  it('passes its own test', async () => {
    await ground.agents.apply('/apis/apps/v1/namespaces/kube-system/daemonsets/switchyard-agent/status', {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'switchyard-agent', namespace: 'kube-system' },
      status: { currentNumberScheduled: 1, desiredNumberScheduled: 1, numberMisscheduled: 0, numberReady: 1 },
    });
    assert.equal(
      await ground.runToEnd('switchyard-check', ground.agents.testbed.node('n2')),
      0,
      await ground.log('switchyard-check'),
    );
  });

  it('gives the node back before it is uninstalled', async () => {
    const code = await ground.runToEnd('switchyard-release', ground.agents.testbed.node('n2'));
    assert.equal(code, 0, await ground.log('switchyard-release'));
    assert.equal(await ground.profile(), undefined);
    assert.equal(await ground.agents.rules(), '');
  });

  it('was refused nothing in all that time', async () => {
    for (const name of ['switchyard-controller', 'switchyard-agent']) {
      const refusals = (await ground.log(name)).split('\n').filter((line) => /forbidden|EROFS|EPERM/i.test(line));
      assert.deepEqual(refusals, [], name);
    }
  });
});

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { differences, NodeGround } from './node-ground.ts';

const SOMAXCONN = 'net.core.somaxconn';
const sets = (name: string, value: string) => ({ kernel: { sysctls: [{ name, value }] } });

describe('the settings of a node under a real agent', { timeout: 240_000 }, () => {
  let ground: NodeGround;

  before(async () => {
    ground = await NodeGround.create();
  });
  after(() => ground.destroy());
  afterEach(() => ground.reset());

  for (const mode of ['nftables', 'iptables']) {
    it(`are made by one resource, and unmade by release, in ${mode} mode`, async () => {
      const before = await ground.snapshot();
      ground.start();
      await ground.want({ mode, ...sets(SOMAXCONN, '7777') });
      await ground.untilServing();
      assert.equal(await ground.sysctl(SOMAXCONN), '7777');
      assert.equal(await ground.sysctl('net.ipv4.ip_forward'), '1');
      assert.match(await ground.file('sysctl.d/99-switchyard.conf'), /^net\.core\.somaxconn = 7777$/m);
      const { status } = await ground.state();
      const reported = status?.sysctls?.find(({ name }) => name === SOMAXCONN);
      assert.deepEqual([reported?.desired, reported?.actual, reported?.original], ['7777', '7777', '4096']);
      assert.ok((status?.conntrack?.memoryBytes ?? 0) > 0);

      await ground.want({ mode, ...sets(SOMAXCONN, '7777') }, { action: 'Release' });
      await ground.untilCondition('Applied', 'False', 'Released');
      assert.equal((await ground.state()).status?.current, undefined);
      await ground.untilEvent('OriginalsRestored');
      assert.deepEqual(differences(before, await ground.snapshot()), []);
    });
  }

  it('say which of them cannot be set here, and go on', async () => {
    ground.start();
    await ground.want({});
    await ground.untilServing();
    const state = (await ground.state()).status?.sysctls?.find(({ name }) => name === 'net.netfilter.nf_conntrack_max');
    assert.ok(state !== undefined);
    if (state.actual !== undefined && Number(state.actual) < Number(state.desired))
      assert.match(state.problem ?? '', /EACCES|EROFS/);
  });

  it('are set again within seconds when somebody changes them', async () => {
    ground.start();
    await ground.want(sets(SOMAXCONN, '7777'));
    await ground.untilServing();
    await ground.setSysctl(SOMAXCONN, '5');
    await ground.untilCondition('Drifted', 'True', 'SysctlOverridden');
    assert.equal(await ground.sysctl(SOMAXCONN), '7777');
    assert.match(await ground.untilEvent('DriftDetected'), /somaxconn/);
  });

  it('stay when the agent ends', async () => {
    const pid = ground.start();
    assert.ok(pid > 0);
    await ground.want(sets(SOMAXCONN, '7777'));
    await ground.untilServing();
    await ground.agents.endAgent('SIGTERM');
    assert.equal(await ground.sysctl(SOMAXCONN), '7777');
  });

  it('fail a change before anything is programmed when a value is out of range', async () => {
    ground.start();
    const before = await ground.sysctl('net.ipv4.tcp_tw_reuse');
    await ground.want(sets('net.ipv4.tcp_tw_reuse', '77'));
    const message = await ground.untilCondition('Applied', 'False', 'SysctlFailed');
    assert.match(message, /tcp_tw_reuse.*out of range/);
    assert.equal((await ground.state()).status?.lastFailure?.phase, 'Prepare');
    assert.equal(await ground.sysctl('net.ipv4.tcp_tw_reuse'), before);
    assert.deepEqual(
      await ground.agents.nftTables().then((names) => names.filter((name) => name === 'switchyard')),
      [],
    );
  });

  it('are no reason to touch a node whose /proc/sys is read-only', async () => {
    const before = await ground.sysctl(SOMAXCONN);
    const readOnly = 'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec "$@"';
    ground.start({ wrapper: ['unshare', '--mount', 'sh', '-c', readOnly, 'sh'] });
    await ground.want(sets(SOMAXCONN, '7777'));
    assert.match(await ground.untilCondition('PreflightPassed', 'False', 'SysctlReadOnly'), /--proc-sys-dir/);
    await ground.untilCondition('Applied', 'False', 'PreflightFailed');
    assert.equal(await ground.sysctl(SOMAXCONN), before);
    assert.equal((await ground.agents.nftTables()).includes('switchyard'), false);
  });

  it('are not touched while the disk is full', async () => {
    const before = await ground.sysctl(SOMAXCONN);
    const state = ground.agents.path('state');
    // One inode is the folder's own, so that no file can be made.
    const fullDisk = `mkdir -p ${state} && mount -t tmpfs -o nr_inodes=1 full ${state} && exec "$@"`;
    ground.start({ wrapper: ['unshare', '--mount', 'sh', '-c', fullDisk, 'sh'] });
    await ground.want(sets(SOMAXCONN, '7777'));
    assert.match(await ground.untilCondition('Applied', 'False', 'OriginalsNotSaved'), /ENOSPC.*--state-dir/);
    assert.equal(await ground.sysctl(SOMAXCONN), before);
  });

  it('are said to be without originals when those on disk are damaged', async () => {
    ground.start();
    await ground.want(sets(SOMAXCONN, '7777'));
    await ground.untilServing();
    await ground.agents.endAgent('SIGKILL');
    await ground.damage('state/originals.json');
    ground.start();
    assert.match(await ground.untilCondition('StateKept', 'False', 'NotKept'), /originals\.json\.damaged/);
    assert.equal(await ground.sysctl(SOMAXCONN), '7777');
  });

  it('tell of another proxy, and serve beside it', async () => {
    const link = ground.agents.path('kube-proxy');
    await ground.sh(`ln -sf "$(readlink -f /bin/sleep)" ${link}`);
    const other = ground.agents.testbed.spawn(ground.agents.node, [link, '600'], { stdio: 'ignore' });
    try {
      ground.start();
      await ground.want({});
      await ground.untilCondition('PreflightPassed', 'True', 'UnmanagedProxyRunning');
      await ground.untilServing();
      assert.deepEqual((await ground.state()).status?.otherProxy, { kind: 'kube-proxy', running: true, traces: [] });
      assert.match(await ground.untilEvent('OtherProxyDetected'), /kube-proxy/);
    } finally {
      other.kill('SIGKILL');
    }
  });
});

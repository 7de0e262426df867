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
    const { sysctls = [], conntrack } = (await ground.state()).status ?? {};
    const state = sysctls.find(({ name }) => name === 'net.netfilter.nf_conntrack_max');
    assert.ok(state !== undefined);
    if (state.actual !== undefined && Number(state.actual) < Number(state.desired))
      assert.match(state.problem ?? '', /EACCES|EROFS/);
    const [max, buckets] = [
      await ground.sysctl('net.netfilter.nf_conntrack_max'),
      await ground.sysctl('net.netfilter.nf_conntrack_buckets'),
    ].map(Number);
    assert.deepEqual(conntrack, { max, buckets, memoryBytes: (max ?? 0) * 448 + (buckets ?? 0) * 8 });
    const { body = '' } = (await ground.agents.get(10249, '/metrics')) ?? {};
    for (const name of ['entries', 'max', 'insert_failed_total', 'drop_total', 'early_drop_total']) {
      assert.match(body, new RegExp(`^switchyard_conntrack_${name} [0-9]+$`, 'm'));
    }
    assert.match(body, new RegExp(`^switchyard_conntrack_max ${max ?? ''}$`, 'm'));
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

  it('stay changed where drift is only reported, and over a restart of the agent', async () => {
    ground.start();
    const reporting = { kernel: { drift: 'Report', sysctls: [{ name: SOMAXCONN, value: '7777' }] } };
    await ground.want(reporting);
    await ground.untilServing();
    await ground.setSysctl(SOMAXCONN, '5');
    await ground.untilCondition('Drifted', 'True', 'SysctlOverridden');
    await ground.agents.endAgent('SIGKILL');
    ground.start();
    await ground.untilLogged('somebody else changed a setting');
    assert.equal(await ground.sysctl(SOMAXCONN), '5');
    await ground.want(reporting, { action: 'Release' });
    await ground.untilCondition('Applied', 'False', 'Released');
    assert.equal(await ground.sysctl(SOMAXCONN), '4096');
  });

  it('stay when the profile no longer names them, are shown with their originals, and go back on release', async () => {
    const reported = async () => (await ground.state()).status?.sysctls?.find(({ name }) => name === SOMAXCONN);
    ground.start();
    await ground.want(sets(SOMAXCONN, '7777'));
    await ground.untilServing();
    await ground.want({});
    await ground.untilServing();
    assert.deepEqual(await reported(), { name: SOMAXCONN, actual: '7777', original: '4096', drifts: 0 });
    assert.doesNotMatch(await ground.file('sysctl.d/99-switchyard.conf'), /somaxconn/);
    await ground.want({}, { action: 'Release' });
    await ground.untilCondition('Applied', 'False', 'Released');
    assert.equal(await ground.sysctl(SOMAXCONN), '4096');
  });

  const COMPARED = [
    { compare: 'AtLeast', value: '4000', expected: '4096', original: undefined },
    { compare: 'AtLeast', value: '5000', expected: '5000', original: '4096' },
    { compare: 'AtMost', value: '5000', expected: '4096', original: undefined },
    { compare: 'AtMost', value: '4000', expected: '4000', original: '4096' },
  ];
  for (const { compare, value, expected, original } of COMPARED) {
    it(`are ${expected} where 4096 was found and ${compare} ${value} is wanted`, async () => {
      ground.start();
      await ground.want({ kernel: { sysctls: [{ name: SOMAXCONN, value, compare }] } });
      await ground.untilServing();
      const state = (await ground.state()).status?.sysctls?.find(({ name }) => name === SOMAXCONN);
      assert.deepEqual([state?.desired, state?.actual, state?.original], [value, expected, original]);
      assert.equal(await ground.sysctl(SOMAXCONN), expected);
    });
  }

  it('stay when the agent ends', async () => {
    const pid = ground.start();
    assert.ok(pid > 0);
    await ground.want(sets(SOMAXCONN, '7777'));
    await ground.untilServing();
    await ground.agents.endAgent('SIGTERM');
    assert.equal(await ground.sysctl(SOMAXCONN), '7777');
  });
});

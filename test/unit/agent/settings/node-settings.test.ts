import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { BootFiles } from '../../../../src/agent/settings/boot-files.ts';
import { NodeModules } from '../../../../src/agent/settings/node-modules.ts';
import { NodeSettings } from '../../../../src/agent/settings/node-settings.ts';
import { NodeTables } from '../../../../src/agent/node-tables.ts';
import { NodeSysctls } from '../../../../src/agent/settings/node-sysctls.ts';
import { OriginalsFile } from '../../../../src/agent/settings/originals-file.ts';
import { SettingsError } from '../../../../src/agent/settings/settings-error.ts';
import { renderedConfig, type RenderedConfig } from '../../../../src/core/api/node-proxy-state.ts';
import { silentLog } from '../../../../src/support/log.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';
import { FakeNode } from '../../../fakes/fake-node.ts';

const MAX = 'net.netfilter.nf_conntrack_max';
const SOMAXCONN = 'net.core.somaxconn';
const config = (kernel: object = {}, more: object = {}): RenderedConfig =>
  renderedConfig.parse({ mode: 'nftables', kernel, ...more });
const sets = (name: string, value: string) => config({ sysctls: [{ name, value }] });

describe('the settings of a node', () => {
  let folder: string;
  let node: FakeNode;
  let clock: FakeClock;
  let drifted: string[];

  const path = (...parts: string[]) => join(folder, ...parts);

  /** A new life of the agent on the same node and disk. */
  const start = (): NodeSettings => {
    const originals = new OriginalsFile(path('state'), silentLog);
    return new NodeSettings({
      originals,
      sysctls: new NodeSysctls({ store: node, originals, log: silentLog }),
      modules: new NodeModules({ store: node.modules, originals, bootID: node.bootID, log: silentLog }),
      tables: new NodeTables({ store: node.tables, originals, bootID: node.bootID }),
      bootFiles: new BootFiles({ sysctlDir: path('sysctl.d'), modulesLoadDir: path('modules-load.d') }, silentLog),
      findings: () => node.findings(),
      look: () => node.look(),
      clock,
      log: silentLog,
      signal: new AbortController().signal,
      onChange: () => undefined,
      onDrift: (name) => drifted.push(name),
    });
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-settings-'));
    for (const name of ['sysctl.d', 'modules-load.d']) mkdirSync(path(name));
    node = new FakeNode();
    clock = new FakeClock();
    drifted = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are applied, written for the next boot, and given back byte for byte', async () => {
    const before = node.snapshot();
    await start().prepare(sets(SOMAXCONN, '8192'));
    assert.equal(node.read(SOMAXCONN), '8192');
    assert.equal(node.read(MAX), '131072');
    assert.match(readFileSync(path('sysctl.d/99-switchyard.conf'), 'utf8'), /^net\.core\.somaxconn = 8192$/m);
    assert.match(readFileSync(path('modules-load.d/switchyard.conf'), 'utf8'), /^nf_conntrack$/m);
    assert.deepEqual(await start().release('Restore'), []);
    assert.deepEqual(node.snapshot(), before);
    for (const file of ['sysctl.d/99-switchyard.conf', 'modules-load.d/switchyard.conf', 'state/originals.json']) {
      assert.equal(existsSync(path(file)), false, file);
    }
  });

  it('keep the first original over further changes and lives', async () => {
    await start().prepare(sets(SOMAXCONN, '8192'));
    await start().prepare(sets(SOMAXCONN, '16384'));
    await start().release('Restore');
    assert.equal(node.read(SOMAXCONN), '4096');
  });

  it('stay in the file for the next boot when the originals are lost', async () => {
    await start().prepare(sets(SOMAXCONN, '8192'));
    const file = readFileSync(path('sysctl.d/99-switchyard.conf'), 'utf8');
    writeFileSync(path('state/originals.json'), 'x');
    await start().prepare(sets(SOMAXCONN, '8192'));
    assert.equal(readFileSync(path('sysctl.d/99-switchyard.conf'), 'utf8'), file);
  });

  it('stay as they are, and are shown, when the profile no longer names them, until release', async () => {
    const before = node.snapshot();
    const settings = start();
    await settings.prepare(sets(SOMAXCONN, '8192'));
    await settings.prepare(config());
    assert.equal(node.read(SOMAXCONN), '8192');
    assert.deepEqual(settings.view.held, [{ name: SOMAXCONN, actual: '8192', original: '4096' }]);
    assert.doesNotMatch(readFileSync(path('sysctl.d/99-switchyard.conf'), 'utf8'), /somaxconn/);
    await settings.release('Restore');
    assert.deepEqual(node.snapshot(), before);
  });

  it('stay as somebody changed them where drift is only reported, for as long as they are changed', async () => {
    const reporting = config({ drift: 'Report', sysctls: [{ name: SOMAXCONN, value: '8192' }] });
    await start().prepare(reporting);
    node.set(SOMAXCONN, '5');
    const settings = start();
    await settings.remember();
    await settings.resume(reporting);
    await settings.check();
    assert.equal(node.read(SOMAXCONN), '5');
    clock.advance(3_600_000);
    await settings.check();
    assert.equal(settings.view.drift?.reason, 'SysctlOverridden');
    assert.deepEqual(drifted, [SOMAXCONN]);
    node.set(SOMAXCONN, '8192');
    await settings.check();
    assert.equal(settings.view.drift, null);
  });

  it('tell once of a module that was unloaded, and where drift is only reported, for as long as it is', async () => {
    const reporting = config({ drift: 'Report' });
    const settings = start();
    await settings.prepare(reporting);
    node.unload('nft_nat');
    await settings.check();
    await settings.check();
    clock.advance(3_600_000);
    assert.deepEqual(drifted, ['nft_nat']);
    assert.equal(settings.view.drift?.reason, 'ModuleUnloaded');
    assert.equal(node.modules.loaded().has('nft_nat'), false);
  });

  it('unload what the kernel loaded because we looked at it', async () => {
    node.loadsOnLook = 'crc32c_intel';
    await start().prepare(config());
    await start().release('Restore');
    assert.deepEqual([...node.modules.loaded()], []);
  });

  it('leave no table of iptables that was not there before', async () => {
    node.iptables.add('ip filter');
    await start().prepare(config());
    node.iptables.add('ip nat');
    await start().release('Restore');
    assert.deepEqual([...node.iptables], ['ip filter']);
  });

  it('stay when release is told to keep them', async () => {
    await start().prepare(sets(SOMAXCONN, '8192'));
    await start().release('Keep');
    assert.equal(node.read(SOMAXCONN), '8192');
    assert.equal(existsSync(path('sysctl.d/99-switchyard.conf')), false);
  });

  it('never make a larger table of the node smaller', async () => {
    node.set(MAX, '500000');
    await start().prepare(config());
    assert.equal(node.read(MAX), '500000');
  });

  const REFUSALS: readonly [
    name: string,
    config: RenderedConfig,
    arrange: () => void,
    code: string,
    message: RegExp,
  ][] = [
    ['a value is out of range', sets('net.ipv4.tcp_tw_reuse', '77'), () => undefined, 'SysctlFailed', /tcp_tw_reuse/],
    [
      'the kernel has no such setting',
      sets('net.ipv4.tcp_nothing', '1'),
      () => undefined,
      'SysctlFailed',
      /tcp_nothing/,
    ],
    ['/proc/sys is read-only', sets(SOMAXCONN, '1'), () => (node.isReadOnly = true), 'SysctlFailed', /read-only/],
    ['a module is missing', config({ modules: { extra: ['nosuch'] } }), () => undefined, 'ModuleLoadFailed', /nosuch/],
    [
      'the disk is full',
      sets(SOMAXCONN, '1'),
      () => writeFileSync(path('state'), ''),
      'OriginalsNotSaved',
      /--state-dir/,
    ],
  ];
  for (const [name, wanted, arrange, code, message] of REFUSALS) {
    it(`fail and leave every setting as it was when ${name}`, async () => {
      arrange();
      const before = node.sysctls();
      await assert.rejects(start().prepare(wanted), (error: unknown) => {
        assert.ok(error instanceof SettingsError);
        assert.equal(error.code, code);
        assert.match(error.message, message);
        return true;
      });
      assert.deepEqual(node.sysctls(), before);
    });
  }

  it('go on without a table size that cannot be set here, and say so', async () => {
    node.readOnly.add(MAX);
    const settings = start();
    await settings.prepare(config());
    const state = settings.view.sysctls.find(({ name }) => name === MAX);
    assert.match(state?.problem ?? '', /nf_conntrack_max/);
  });

  it('are set again when somebody changes them, and that is counted', async () => {
    const settings = start();
    await settings.prepare(sets(SOMAXCONN, '8192'));
    node.set(SOMAXCONN, '1');
    await settings.check();
    assert.equal(node.read(SOMAXCONN), '8192');
    assert.deepEqual(drifted, [SOMAXCONN]);
    assert.equal(settings.view.drift?.reason, 'SysctlOverridden');
    assert.equal(settings.view.sysctls.find(({ name }) => name === SOMAXCONN)?.drifts, 1);
    clock.advance(300_001);
    assert.equal(settings.view.drift, null);
  });

  it('are only reported, once, when the profile says so', async () => {
    const settings = start();
    await settings.prepare(config({ drift: 'Report', sysctls: [{ name: SOMAXCONN, value: '8192' }] }));
    node.set(SOMAXCONN, '1');
    await settings.check();
    await settings.check();
    assert.equal(node.read(SOMAXCONN), '1');
    assert.deepEqual(drifted, [SOMAXCONN]);
  });

  it('notice a module that was unloaded and load it again', async () => {
    const settings = start();
    await settings.prepare(config());
    node.unload('nft_numgen');
    await settings.check();
    assert.ok(node.modules.loaded().has('nft_numgen'));
    assert.equal(settings.view.drift?.reason, 'ModuleUnloaded');
  });

  it('go back to those of the revision before, and to what the node had where that named none', async () => {
    const old = sets('net.ipv4.tcp_tw_reuse', '1');
    await start().prepare(old);
    const wanted = sets(SOMAXCONN, '8192');
    const settings = start();
    await settings.prepare(wanted);
    await settings.goBack(old, wanted);
    assert.deepEqual([node.read(SOMAXCONN), node.read('net.ipv4.tcp_tw_reuse')], ['4096', '1']);
    await settings.goBack(null, old);
    assert.equal(node.read('net.ipv4.tcp_tw_reuse'), '2');
  });

  it('unload only what was not there before, and is not in use', async () => {
    node.load('nf_conntrack');
    node.load('nf_nat');
    node.use('nft_numgen');
    await start().prepare(config());
    await start().release('Restore');
    assert.deepEqual([...node.modules.loaded()].sort(), ['nf_conntrack', 'nf_nat', 'nft_numgen']);
  });

  it('are not restored from damaged originals, which are set aside and said', async () => {
    await start().prepare(sets(SOMAXCONN, '8192'));
    writeFileSync(path('state/originals.json'), '{"version":1,"content":{}}');
    const settings = start();
    await settings.prepare(sets(SOMAXCONN, '8192'));
    assert.match(settings.view.problems.join(), /damaged/);
    assert.ok(existsSync(path('state/originals.json.damaged')));
    await settings.release('Restore');
    assert.equal(node.read(SOMAXCONN), '8192');
  });

  it('put strict ARP back where the profile asks for it', async () => {
    const names = ['net.ipv4.conf.all.arp_ignore', 'net.ipv4.conf.all.arp_announce'];
    const enforce = config({ sysctls: names.map((name) => ({ name, value: '1' })) });
    await start().prepare(enforce);
    await start().prepare(config({}, { ipvs: { strictARP: 'Restored' } }));
    assert.deepEqual(
      names.map((name) => node.read(name)),
      ['0', '0'],
    );
  });

  it('converge with the right originals wherever the agent is killed', async () => {
    const before = node.snapshot();
    for (let kill = 1; kill < 60; kill += 1) {
      node.killAfter(kill);
      await start()
        .prepare(sets(SOMAXCONN, '8192'))
        .catch(() => undefined);
      node.killAfter(kill);
      await start()
        .release('Restore')
        .catch(() => undefined);
      node.killAfter(Infinity);
      await start().prepare(sets(SOMAXCONN, '8192'));
      assert.equal(node.read(SOMAXCONN), '8192');
      assert.deepEqual(await start().release('Restore'), []);
      assert.deepEqual(node.snapshot(), before, `killed at operation ${kill}`);
    }
  });
});

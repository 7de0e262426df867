import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { CLUSTER_IP } from './agent-ground.ts';
import { boundingSet, capabilityMask, type CapabilityNeed } from './agent-privileges.ts';
import { differences, NodeGround } from './node-ground.ts';

const SOMAXCONN = 'net.core.somaxconn';
const SKIP = process.arch === 'x64' ? false : 'the seccomp filter of this test is for amd64';
const WRAPPER = fileURLToPath(new URL('seccomp-wrapper.ts', import.meta.url));
/** Every mode that this kernel may have. */
const NAMESPACE_MODES = ['nftables', 'iptables'] as const;

/**
 * What a container gives: a read-only root, a read-only /proc/sys with the host's mounted elsewhere, the folders of the
 * manifest, no new privileges, what RuntimeDefault lets through, and no capability but those named.
 */
const containerScript = (ground: NodeGround, needs: readonly CapabilityNeed[]): string => {
  const folders = ['state', 'sysctl.d', 'modules-load.d'].map((name) => ground.agents.path(name));
  const host = ground.agents.path('host-proc-sys');
  return [
    `mkdir -p ${folders.join(' ')} ${host} && touch /run/xtables.lock`,
    ...folders.map((folder) => `mount --bind ${folder} ${folder}`),
    'mount --bind /run/xtables.lock /run/xtables.lock',
    `mount --bind /proc/sys ${host}`,
    'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys',
    'for folder in /tmp /run /var /dev/shm; do mount --rbind $folder $folder 2>/dev/null && mount -o remount,ro,bind $folder; done',
    // A bind mount over its parent hides what was mounted below it, so these come last.
    ...folders.map((folder) => `mount --bind ${folder} ${folder} && mount -o remount,rw,bind ${folder}`),
    'mount --bind /run/xtables.lock /run/xtables.lock && mount -o remount,rw,bind /run/xtables.lock',
    'mount -o remount,ro,bind /',
    `exec setpriv --bounding-set=${boundingSet(needs)} --inh-caps=-all --no-new-privs ${process.execPath} ${WRAPPER} "$@"`,
  ].join(' && ');
};

describe("an agent under exactly its container's privileges", { timeout: 180_000, skip: SKIP }, () => {
  let ground: NodeGround;

  before(async () => {
    ground = await NodeGround.create();
  });
  after(() => ground.destroy());
  afterEach(() => ground.reset());

  const start = (needs: readonly CapabilityNeed[]): number =>
    ground.start({
      wrapper: ['unshare', '--mount', 'sh', '-c', containerScript(ground, needs), 'sh'],
      flags: ['--proc-sys-dir', ground.agents.path('host-proc-sys')],
    });
  const statusOf = (pid: number, field: string): string =>
    new RegExp(`^${field}:\\s*(\\S+)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  const reach = async () => {
    const { testbed, node } = ground.agents;
    return (await probe(testbed, node, { protocol: 'TCP', address: CLUSTER_IP, port: 80 })).outcome;
  };
  const expectConfined = (pid: number, needs: readonly CapabilityNeed[]) => {
    for (const set of ['CapEff', 'CapPrm', 'CapBnd']) {
      assert.equal(BigInt(`0x${statusOf(pid, set)}`), capabilityMask(needs), set);
    }
    assert.deepEqual([statusOf(pid, 'NoNewPrivs'), statusOf(pid, 'Seccomp')], ['1', '2']);
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n');
    const root = mounts.filter((line) => line.split(' ')[4] === '/').at(-1);
    assert.match(root ?? '', / ro[, ]/);
  };

  it('serves in each mode and releases, with a read-only root', async () => {
    const before = await ground.snapshot();
    const pid = start(['always', 'modules']);
    const kernel = { sysctls: [{ name: SOMAXCONN, value: '7777' }] };
    for (const mode of NAMESPACE_MODES) {
      await ground.want({ mode, kernel });
      await ground.untilServing();
      assert.equal(await reach(), 'ok', mode);
    }
    expectConfined(pid, ['always', 'modules']);
    assert.equal(await ground.sysctl(SOMAXCONN), '7777');
    await ground.want({ mode: 'iptables', kernel }, { action: 'Release' });
    await ground.untilCondition('Applied', 'False', 'Released');
    await ground.agents.endAgent('SIGTERM');
    assert.deepEqual(
      differences(before, await ground.snapshot()).filter((line) => !line.includes('state: ')),
      [],
    );
  });

  it('needs no SYS_MODULE where its modules are there already', async () => {
    const pid = start(['always']);
    await ground.want({ mode: 'nftables' });
    await ground.untilServing();
    expectConfined(pid, ['always']);
  });

  describe('where the rules of the node are those of iptables-legacy', () => {
    before(() => ground.sh('iptables-legacy -t nat -N ELSE && iptables-legacy -t nat -A ELSE -j RETURN'));
    after(() => ground.sh('iptables-legacy -t nat -F && iptables-legacy -t nat -X ELSE'));

    it('serves there with NET_RAW', async () => {
      const pid = start(['always', 'modules', 'legacy']);
      await ground.want({ mode: 'iptables' });
      await ground.untilServing();
      assert.equal(await reach(), 'ok');
      assert.match(await ground.sh('iptables-legacy-save -t nat'), /SWITCHYARD/);
      expectConfined(pid, ['always', 'modules', 'legacy']);
    });

    it('warns where it lacks NET_RAW', async () => {
      start(['always', 'modules']);
      await ground.want({ mode: 'iptables' });
      await ground.untilServing();
      assert.match((await ground.state()).status?.preflight?.warnings?.[0] ?? '', /NET_RAW/);
    });
  });
});

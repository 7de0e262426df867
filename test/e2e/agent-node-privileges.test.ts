import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { CLUSTER_IP } from './agent-ground.ts';
import { differences, NodeGround } from './node-ground.ts';

const SOMAXCONN = 'net.core.somaxconn';
const NET_ADMIN = 1n << 12n;
const SYS_MODULE = 1n << 16n;

/**
 * What a container gives: a read-only root, a read-only /proc/sys with the host's mounted elsewhere, the folders of the
 * manifest, no new privileges, and no capability but those named.
 */
const containerScript = (ground: NodeGround, capabilities: string): string => {
  const folders = ['state', 'sysctl.d', 'modules-load.d'].map((name) => ground.agents.path(name));
  const host = ground.agents.path('host-proc-sys');
  return [
    `mkdir -p ${folders.join(' ')} ${host}`,
    ...folders.map((folder) => `mount --bind ${folder} ${folder}`),
    `mount --bind /proc/sys ${host}`,
    'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys',
    'mount -o remount,ro,bind /',
    `exec setpriv --bounding-set=-all,${capabilities} --inh-caps=-all --no-new-privs "$@"`,
  ].join(' && ');
};

describe("an agent under exactly its container's privileges", { timeout: 120_000 }, () => {
  let ground: NodeGround;

  before(async () => {
    ground = await NodeGround.create();
  });
  after(() => ground.destroy());

  const start = (capabilities: string): number =>
    ground.start({
      wrapper: ['unshare', '--mount', 'sh', '-c', containerScript(ground, capabilities), 'sh'],
      flags: ['--proc-sys-dir', ground.agents.path('host-proc-sys')],
    });
  const capabilitiesOf = (pid: number): bigint =>
    BigInt(`0x${/^CapEff:\s*(\S+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0'}`);

  it('serves in each mode, with NET_ADMIN and SYS_MODULE and a read-only root, and releases', async () => {
    const before = await ground.snapshot();
    const pid = start('+net_admin,+sys_module');
    const kernel = { sysctls: [{ name: SOMAXCONN, value: '7777' }] };
    for (const mode of ['nftables', 'iptables']) {
      await ground.want({ mode, kernel });
      await ground.untilServing();
      const { testbed, node } = ground.agents;
      const destination = { protocol: 'TCP', address: CLUSTER_IP, port: 80 } as const;
      assert.equal((await probe(testbed, node, destination)).outcome, 'ok', mode);
    }
    assert.equal(capabilitiesOf(pid), NET_ADMIN | SYS_MODULE);
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
    const pid = start('+net_admin');
    await ground.want({ mode: 'nftables' });
    await ground.untilServing();
    assert.equal(capabilitiesOf(pid), NET_ADMIN);
  });
});

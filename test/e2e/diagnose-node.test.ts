import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { readConntrackStats } from '../../src/kernel/conntrack-stats.ts';
import { inNetns } from '../../src/kernel/netns.ts';
import { eventually } from './agent-ground.ts';
import { NodeGround } from './node-ground.ts';
import { switchyard } from './operate.ts';
import { PacketQueue } from './packet-queue.ts';

const PROFILE = '/apis/switchyard.dev/v1alpha1/proxyprofiles/p';
const HEALTH_CHECK_PORT = 32_001;
const QUEUE = 7;
/** One more than what is taken for an accident. */
const RACES = 101;

/** A profile that its controller is done with. */
async function settleProfile({ agents }: NodeGround): Promise<void> {
  const head = { apiVersion: 'switchyard.dev/v1alpha1', kind: 'ProxyProfile', metadata: { name: 'p' } };
  await agents.apply(PROFILE, { ...head, spec: { mode: 'nftables' } });
  const at = new Date().toISOString();
  const condition = (type: string, status: string, reason: string) => ({
    type,
    status,
    reason,
    message: reason,
    lastTransitionTime: at,
    observedGeneration: 1,
  });
  await agents.apply(`${PROFILE}/status`, {
    ...head,
    status: {
      observedGeneration: 1,
      conditions: [condition('Accepted', 'True', 'Valid'), condition('Progressing', 'False', 'Complete')],
    },
  });
}

/** Opens connections from a pod whose SYNs are held until each was sent again, so that two make one entry each. */
async function raceConnections({ agents }: NodeGround): Promise<void> {
  const { testbed, node } = agents;
  const pod = node.pods[0];
  const target = testbed.node('n2').pods[0]?.address ?? '';
  assert.ok(pod !== undefined);
  const held = ['PREROUTING', '-p', 'tcp', '--syn', '-d', target, '-j', 'NFQUEUE', '--queue-num', String(QUEUE)];
  const iptables = (...argv: readonly string[]) => testbed.exec(node, ['iptables-nft', '-t', 'mangle', ...argv]);
  const queue = await PacketQueue.open(node.netnsPath, QUEUE);
  await iptables('-A', ...held);
  const script = `const { connect } = require('node:net'); for (let each = 0; each < ${RACES}; each += 1) connect(8080, '${target}').on('connect', function () { this.destroy(); }).on('error', () => undefined);`;
  const child = testbed.spawn(pod, [process.execPath, '-e', script], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  try {
    await eventually('each SYN was sent twice', async () => {
      const { stdout } = await iptables('-L', 'PREROUTING', '-v', '-x', '-n');
      return Number(/^ *(\d+) .*NFQUEUE/m.exec(stdout)?.[1] ?? 0) >= 2 * RACES ? true : undefined;
    });
    await queue.release();
    await eventually('insertions failed', () => {
      const stats = inNetns(node.netnsPath, () => readConntrackStats(() => '1', '/proc/thread-self/..'));
      return Promise.resolve((stats?.insertFailed ?? 0) >= RACES ? true : undefined);
    });
  } finally {
    await iptables('-D', ...held);
    queue.close();
    child.kill('SIGKILL');
    await ended;
  }
}

describe('kubectl switchyard diagnose, on one node', () => {
  let ground: NodeGround;
  let kubeconfig = '';

  before(async () => {
    ground = await NodeGround.create();
    kubeconfig = ground.agents.path('person');
    await writeFile(kubeconfig, ground.agents.server.kubeconfig());
    await settleProfile(ground);
  });
  after(() => ground.destroy());

  /** The code of the first finding, once it is this one; then all that was found. */
  async function findsFirst(code: string, says: RegExp): Promise<void> {
    let whole = '';
    for (let look = 0; look < 8; look += 1) {
      const { stdout, stderr } = await switchyard(kubeconfig, 'diagnose', '-o', 'json', '--no-connect');
      assert.notEqual(stdout, '', stderr);
      whole = stdout;
      const [first] = (JSON.parse(stdout) as { findings: { code: string; evidence: string[] }[] }).findings;
      if (first?.code !== code) continue;
      assert.match(first.evidence.join('\n'), says);
      return;
    }
    assert.fail(`${code} was not first: ${whole}`);
  }

  it('finds first: kernel settings that cannot be written', async () => {
    const world = 'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys';
    ground.start({ wrapper: ['unshare', '--mount', 'sh', '-c', `${world} && exec "$@"`, 'sh'] });
    await ground.want({ kernel: { sysctls: [{ name: 'net.core.somaxconn', value: '7777' }] } });
    await ground.untilCondition('PreflightPassed', 'False', 'SysctlReadOnly');
    await findsFirst('SysctlReadOnly', /somaxconn/);
    await ground.agents.endAgent('SIGTERM');
  });

  it('finds first: changes that the kernel takes slowly', async () => {
    const { agents } = ground;
    const folder = agents.path('slow');
    await mkdir(folder);
    const flag = agents.path('slow-now');
    for (const tool of ['iptables-nft-restore', 'iptables-restore']) {
      const script = `#!/bin/sh\n[ -e ${flag} ] && sleep 6\nexec /usr/sbin/${tool} "$@"\n`;
      await writeFile(`${folder}/${tool}`, script, { mode: 0o755 });
    }
    ground.start({ wrapper: ['env', `PATH=${folder}:${process.env['PATH'] ?? ''}`] });
    await ground.want({ mode: 'iptables' });
    await agents.untilServing('iptables');
    await writeFile(flag, '');
    await agents.setEndpoints(agents.backends.slice(0, 2));
    await findsFirst('SlowSync', /took [6-9]|took \d\d|has waited/);
    await rm(flag);
    await agents.endAgent('SIGTERM');
  });

  it('finds first: a firewall that keeps load balancers from the health check port', async () => {
    const { agents } = ground;
    ground.start();
    await ground.want({ mode: 'nftables' });
    await agents.untilServing('nftables');
    await agents.createService('shop', {
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: HEALTH_CHECK_PORT,
    });
    await agents.setEndpoints(agents.backends, 'shop');
    const nft = (line: string) => agents.testbed.exec(agents.node, ['nft', line]);
    await nft('add table inet hostfw');
    await nft('add chain inet hostfw in { type filter hook input priority 0; policy drop; }');
    await nft('add rule inet hostfw in ct state established,related accept');
    await nft('add rule inet hostfw in iifname "lo" accept');
    await nft('add rule inet hostfw in tcp dport 22 accept');
    try {
      await findsFirst('InputPolicyDrop', /hostfw in/);
    } finally {
      await nft('delete table inet hostfw');
    }
  });

  it('finds first: connections lost to races in the conntrack table', async () => {
    const { agents } = ground;
    await raceConnections(ground);
    const metric = async (name: string) => {
      const text = (await agents.get(10249, '/metrics'))?.body ?? '';
      return Number(new RegExp(`^switchyard_conntrack_${name}_total (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
    };
    await eventually('the agent has seen them', async () =>
      (await metric('insert_failed')) >= RACES ? true : undefined,
    );
    // The kernel counts them as dropped, too: that is no full table.
    assert.equal(await metric('drop'), 0);
    await findsFirst('InsertFailed', /insert_failed grew by/);
  });
});

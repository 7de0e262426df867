import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, afterEach, before, describe, it } from 'node:test';
import { differences, NodeGround } from './node-ground.ts';

const SOMAXCONN = 'net.core.somaxconn';
const sets = (name: string, value: string) => ({ kernel: { sysctls: [{ name, value }] } });
const KUBE_PROXY_RULES = [
  'iptables-nft -t nat -N KUBE-SERVICES',
  'iptables-nft -t nat -A PREROUTING -j KUBE-SERVICES',
  'iptables-nft -t nat -A KUBE-SERVICES -d 10.96.99.99/32 -j RETURN',
  'nft add table ip kube-proxy',
  'nft add chain ip kube-proxy services',
];

interface Failure {
  readonly name: string;
  readonly config: object;
  /** A mount namespace of the agent's own, arranged by this script. */
  readonly world?: (ground: NodeGround) => string;
  readonly condition: readonly [type: string, status: string, reason: string, message: RegExp];
  readonly events: Readonly<Record<string, RegExp>>;
}

const FAILURES: readonly Failure[] = [
  {
    name: 'a value that is out of range after others that are right',
    config: {
      kernel: {
        sysctls: [
          { name: SOMAXCONN, value: '7777' },
          { name: 'net.ipv4.conf.all.arp_ignore', value: '1' },
          { name: 'net.ipv4.tcp_tw_reuse', value: '77' },
        ],
      },
    },
    condition: ['Applied', 'False', 'SysctlFailed', /tcp_tw_reuse.*out of range/],
    events: { SwitchStarted: /nftables/, SwitchFailed: /Prepare, SysctlFailed: .*tcp_tw_reuse.*out of range/ },
  },
  {
    name: 'a read-only /proc/sys',
    config: sets(SOMAXCONN, '7777'),
    world: () => 'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys',
    condition: ['PreflightPassed', 'False', 'SysctlReadOnly', /somaxconn.*--proc-sys-dir/],
    events: { SysctlReadOnly: /somaxconn.*--proc-sys-dir/, SwitchFailed: /Preflight, PreflightFailed/ },
  },
  {
    name: 'a full disk',
    config: sets(SOMAXCONN, '7777'),
    // One inode is the folder's own, so that no file can be made.
    world: ({ agents }) =>
      `mkdir -p ${agents.path('state')} && mount -t tmpfs -o nr_inodes=1 full ${agents.path('state')}`,
    condition: ['Applied', 'False', 'OriginalsNotSaved', /ENOSPC.*--state-dir/],
    events: { StateNotKept: /ENOSPC/, SwitchFailed: /OriginalsNotSaved/ },
  },
  {
    name: 'programs of iptables that are not there',
    config: { mode: 'iptables' },
    world: ({ agents }) => hiding(agents.path('bin'), ['iptables', 'ip6tables']),
    condition: ['PreflightPassed', 'False', 'ToolMissing', /iptables-save.*apt-get install iptables/],
    events: { ToolMissing: /iptables-save/, SwitchFailed: /PreflightFailed/ },
  },
];

/** Leaves every program of /usr/sbin but those of iptables, in a folder mounted over it. */
function hiding(folder: string, prefixes: readonly string[]): string {
  const patterns = prefixes.map((prefix) => `-name '${prefix}*' -o -name 'x${prefix.slice(2)}*'`).join(' -o ');
  return [
    `rm -rf ${folder} && cp -a /usr/sbin ${folder}`,
    `find ${folder} \\( ${patterns} -o -name 'xtables*' \\) -delete`,
    `mount --bind ${folder} /usr/sbin`,
  ].join(' && ');
}

describe('a node that cannot be brought to what is wanted', { timeout: 300_000 }, () => {
  let ground: NodeGround;

  before(async () => {
    ground = await NodeGround.create();
  });
  after(() => ground.destroy());
  afterEach(() => ground.reset());

  const expectEvents = async (events: Failure['events']): Promise<void> => {
    for (const kind of ['Node', 'NodeProxyState'] as const) {
      for (const [reason, note] of Object.entries(events)) await ground.untilEvent(reason, { kind, note });
    }
  };
  /** But for what the agent remembers on its own disk. */
  const expectUntouched = async (before: string): Promise<void> => {
    const found = differences(before, await ground.snapshot());
    assert.deepEqual(
      found.filter((line) => !/^[-+] state:/.test(line)),
      [],
    );
  };

  for (const { name, config, world, condition, events } of FAILURES) {
    const [type, status, reason, message] = condition;
    it(`because of ${name}: says so, tells of it, and is not touched`, async () => {
      const before = await ground.snapshot();
      const wrapper =
        world === undefined ? [] : ['unshare', '--mount', 'sh', '-c', `${world(ground)} && exec "$@"`, 'sh'];
      ground.start({ wrapper });
      await ground.want(config);
      assert.match(await ground.untilCondition(type, status, reason), message);
      assert.equal((await ground.condition('Ready'))?.status, 'False');
      assert.equal((await ground.state()).status?.current, undefined);
      await expectEvents(events);
      await expectUntouched(before);
    });
  }

  it('goes on serving what it served, with its settings as they were, when the next revision fails', async () => {
    ground.start();
    await ground.want(sets(SOMAXCONN, '7777'));
    await ground.untilServing();
    await ground.untilEvent('SwitchCommitted');
    const before = await ground.snapshot();
    await ground.want({
      mode: 'iptables',
      kernel: { sysctls: [{ name: SOMAXCONN, value: '8888' }, ...sets('net.ipv4.tcp_tw_reuse', '77').kernel.sysctls] },
    });
    await ground.untilCondition('RolledBack', 'True', 'SysctlFailed');
    await expectEvents({ SwitchFailed: /tcp_tw_reuse/, NodeRolledBack: /went back to nftables mode/ });
    await expectUntouched(before);
    assert.equal((await ground.state()).status?.current?.mode, 'nftables');
  });

  it('tells of another proxy, serves beside it, and leaves what is its alone', async () => {
    const link = ground.agents.path('kube-proxy');
    await ground.sh(`ln -sf "$(readlink -f /bin/sleep)" ${link}`);
    await ground.sh(KUBE_PROXY_RULES.join(' && '));
    const other = ground.agents.testbed.spawn(ground.agents.node, [link, '600'], { stdio: 'ignore' });
    try {
      const foreign = () => ground.sh('iptables-nft-save | grep KUBE; nft list table ip kube-proxy');
      const before = await foreign();
      ground.start();
      await ground.want({});
      await ground.untilCondition('PreflightPassed', 'True', 'UnmanagedProxyRunning');
      await ground.untilCondition('Ready', 'False', 'AwaitingHandover');
      const { otherProxy } = (await ground.state()).status ?? {};
      assert.deepEqual([otherProxy?.kind, otherProxy?.running], ['kube-proxy', true]);
      assert.match(otherProxy?.traces.join() ?? '', /table ip kube-proxy.*chain KUBE-SERVICES/);
      await expectEvents({ OtherProxyDetected: /kube-proxy.*KUBE-SERVICES/ });
      assert.equal(await foreign(), before);
    } finally {
      other.kill('SIGKILL');
      await ground.agents.endAgent('SIGKILL');
      await ground.sh(
        'nft delete table ip kube-proxy; iptables-nft -t nat -F; iptables-nft -t nat -X KUBE-SERVICES; nft delete table ip nat',
      );
    }
  });

  for (const [file, message] of [
    ['originals.json', /originals\.json\.damaged/],
    ['state.json', /state\.json\.damaged/],
  ] as const) {
    it(`says that its ${file} was damaged, sets it aside, and serves on`, async () => {
      ground.start();
      await ground.want(sets(SOMAXCONN, '7777'));
      await ground.untilServing();
      await ground.agents.endAgent('SIGKILL');
      const before = await ground.snapshot();
      await ground.damage(`state/${file}`);
      ground.start();
      await expectEvents({ StateNotKept: message });
      assert.notEqual(await ground.file(`state/${file}.damaged`), '');
      await ground.untilServing();
      await expectUntouched(before);
    });
  }

  it('does not believe a state that was changed by one letter', async () => {
    ground.start();
    await ground.want({});
    await ground.untilServing();
    await ground.agents.endAgent('SIGKILL');
    const text = await ground.file('state/state.json');
    await writeFile(ground.agents.path('state/state.json'), text.replace('"nftables"', '"iptables"'));
    ground.start();
    await expectEvents({ StateNotKept: /checksum/ });
    await ground.untilServing();
    assert.equal((await ground.state()).status?.current?.mode, 'nftables');
  });
});

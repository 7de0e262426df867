import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, afterEach, before, describe, it } from 'node:test';
import { NO_ORIGINALS, originals } from '../../src/core/node/originals.ts';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { CLUSTER_IP, eventually } from './agent-ground.ts';
import { differences, NodeGround } from './node-ground.ts';

const SOMAXCONN = 'net.core.somaxconn';
const WANTED = { mode: 'nftables', kernel: { sysctls: [{ name: SOMAXCONN, value: '7777' }] } };
/** The long form, for a machine with time: SWITCHYARD_KILLS=200. */
const KILLS = Number(process.env['SWITCHYARD_KILLS'] ?? '16');
const SECONDS_PER_KILL = 20;
/** One in so many is killed while it starts, the others once they work: a start takes longer than an apply. */
const EARLY_EVERY = 6;
const FIRST_WORK = 'found what this node ran before';
/** After one in so many the node must converge before the next one begins. */
const CONVERGES_EVERY = 8;
/** About as long as an apply or a release takes. */
const WORK_MS = 700;
const LOOKS = 10;

describe('a node over many lives of its agent', { timeout: 240_000 + KILLS * SECONDS_PER_KILL * 1_000 }, () => {
  let ground: NodeGround;

  before(async () => {
    ground = await NodeGround.create();
  });
  after(() => ground.destroy());
  afterEach(() => ground.reset());

  const reach = async () => {
    const { testbed, node } = ground.agents;
    const destination = { protocol: 'TCP', address: CLUSTER_IP, port: 80, count: 5 } as const;
    return (await probe(testbed, node, destination)).outcome;
  };
  const serve = async () => {
    ground.start();
    await ground.want(WANTED);
    await ground.untilServing();
  };
  /** What a reboot leaves of a node: its disk. */
  const reboot = async () => {
    await ground.agents.endAgent('SIGTERM');
    await ground.sh('nft flush ruleset');
    await ground.setSysctl(SOMAXCONN, '4096');
  };

  /** Whenever a setting is not as it was, its original is on disk. */
  const expectOriginalKept = async () => {
    const text = await ground.file('state/originals.json');
    const { sysctls } =
      text === '' ? NO_ORIGINALS : originals.parse((JSON.parse(text) as { content: unknown }).content);
    const actual = await ground.sysctl(SOMAXCONN);
    assert.ok(actual === '4096' || sysctls[SOMAXCONN] === '4096', `${actual}, ${text}`);
  };

  it('serves what was known last when it is started anew while the API server is away', async () => {
    await serve();
    await reboot();
    assert.notEqual(await reach(), 'ok');
    await ground.cutApiServer(true);
    try {
      ground.start();
      await eventually('the node serves', async () => ((await reach()) === 'ok' ? true : undefined));
      assert.equal(await ground.sysctl(SOMAXCONN), '7777');
      assert.match(await ground.agents.agentLog(), /it may be stale/);
    } finally {
      await ground.cutApiServer(false);
    }
    await ground.untilServing();
    await ground.agents.setEndpoints([]);
    await eventually('it follows the Services again', async () => ((await reach()) === 'refused' ? true : undefined));
    await ground.agents.setEndpoints(ground.agents.testbed.pods);
  });

  it('goes on with what it left while the API server is away, and repairs it', async () => {
    await serve();
    await eventually('the Services are on disk', async () =>
      (await ground.file('state/services.ndjson')) === '' ? undefined : true,
    );
    await ground.agents.endAgent('SIGKILL');
    const { testbed, node } = ground.agents;
    // Newer than what is on disk, as after a last change before the kill: left alone until somebody damages the rules.
    await testbed.exec(node, ['nft', 'add', 'chain', 'ip', 'switchyard', 'newer']);
    await ground.cutApiServer(true);
    try {
      ground.start();
      await ground.untilLogged('found what this node ran before');
      assert.equal(await reach(), 'ok');
      // It listens from some moment on; what is damaged before that is another test's business.
      await eventually('it hears of damages', async () => {
        await ground.sh('nft add chain ip switchyard newest; nft delete chain ip switchyard newest || true');
        return (await ground.agents.agentLog()).includes('somebody changed our rules') ? true : undefined;
      });
      for (const damage of ['flush chain ip switchyard services', 'flush ruleset']) {
        await testbed.exec(node, ['nft', damage]);
        await eventually('the node is repaired', async () => ((await reach()) === 'ok' ? true : undefined));
      }
    } finally {
      await ground.cutApiServer(false);
    }
    await ground.untilServing();
  });

  it('does not serve from a damaged file, and sets it aside', async () => {
    await serve();
    await reboot();
    await ground.damage('state/services.ndjson');
    await ground.cutApiServer(true);
    try {
      ground.start();
      await eventually('the file is set aside', async () =>
        (await ground.file('state/services.ndjson.damaged')) === '' ? undefined : true,
      );
      assert.notEqual(await reach(), 'ok');
    } finally {
      await ground.cutApiServer(false);
    }
    // The status still says Ready from before the reboot, until the agent has reached the API server.
    await eventually('the node serves', async () => ((await reach()) === 'ok' ? true : undefined));
  });

  it('leaves newer rules in the kernel alone while the API server is away', async () => {
    await serve();
    await ground.agents.endAgent('SIGTERM');
    const rules = await ground.agents.rules();
    await ground.cutApiServer(true);
    try {
      ground.start();
      await eventually('the agent misses the API server', async () =>
        (await ground.agents.agentLog()).includes('cannot read from the API server') ? true : undefined,
      );
      // What it could not read it may act on a moment later.
      for (let look = 0; look < LOOKS; look += 1) assert.equal(await ground.agents.rules(), rules);
    } finally {
      await ground.cutApiServer(false);
    }
  });

  it(`converges, with its originals right, when it is killed at ${KILLS} moments of apply and release`, async (t) => {
    const before = await ground.snapshot();
    const phases = new Map<string, number>();
    for (let kill = 0; kill < KILLS; kill += 1) {
      const action = kill % 2 === 0 ? 'Apply' : 'Release';
      const mode = kill % 4 < 2 ? 'nftables' : 'iptables';
      await ground.want({ ...WANTED, mode }, { action, attempt: `kill-${kill}` });
      ground.start();
      if (kill % EARLY_EVERY !== 0) await ground.untilLogged(FIRST_WORK);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * WORK_MS));
      await ground.agents.endAgent('SIGKILL');
      await expectOriginalKept();
      const phase = `${action} ${await ground.lastPhase()}`;
      phases.set(phase, (phases.get(phase) ?? 0) + 1);
      if (kill % CONVERGES_EVERY > 1) continue;
      ground.start();
      await (action === 'Apply' ? ground.untilServing() : ground.untilCondition('Applied', 'False', 'Released'));
      await ground.agents.endAgent('SIGKILL');
    }
    t.diagnostic(`killed in: ${[...phases].map(([phase, count]) => `${phase} ${count}`).join(', ')}`);
    await ground.want(WANTED, { attempt: 'last' });
    ground.start();
    await ground.untilServing();
    assert.equal(await ground.sysctl(SOMAXCONN), '7777');
    const original = (await ground.state()).status?.sysctls?.find(({ name }) => name === SOMAXCONN)?.original;
    assert.equal(original, '4096');
    await ground.want(WANTED, { action: 'Release' });
    await ground.untilCondition('Applied', 'False', 'Released');
    assert.deepEqual(differences(before, await ground.snapshot()), []);
  });

  it('has its settings from --init-only, which an agent finds applied', async () => {
    const { agents } = ground;
    await writeFile(
      agents.path('profile.yaml'),
      JSON.stringify({
        apiVersion: 'switchyard.dev/v1alpha1',
        kind: 'ProxyProfile',
        metadata: { name: 'init' },
        spec: WANTED,
      }),
    );
    const folders = `--state-dir ${agents.path('state')} --sysctl-dir ${agents.path('sysctl.d')} --modules-load-dir ''`;
    await ground.sh(`bin/switchyard agent --init-only --profile ${agents.path('profile.yaml')} ${folders}`);
    assert.equal(await ground.sysctl(SOMAXCONN), '7777');
    assert.equal((await agents.nftTables()).includes('switchyard'), false);
    await serve();
    const state = (await ground.state()).status?.sysctls?.find(({ name }) => name === SOMAXCONN);
    assert.equal(state?.original, '4096');
  });
});

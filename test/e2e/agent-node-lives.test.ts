import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, afterEach, before, describe, it } from 'node:test';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { CLUSTER_IP, eventually } from './agent-ground.ts';
import { differences, NodeGround } from './node-ground.ts';

const SOMAXCONN = 'net.core.somaxconn';
const WANTED = { mode: 'nftables', kernel: { sysctls: [{ name: SOMAXCONN, value: '7777' }] } };
/** The long form, for a machine with time: SWITCHYARD_KILLS=200. */
const KILLS = Number(process.env['SWITCHYARD_KILLS'] ?? '6');
const SECONDS_PER_KILL = 20;

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
      assert.equal(await ground.agents.rules(), rules);
    } finally {
      await ground.cutApiServer(false);
    }
  });

  it(`converges, with its originals right, when it is killed at ${KILLS} moments of apply and release`, async () => {
    const before = await ground.snapshot();
    for (let kill = 0; kill < KILLS; kill += 1) {
      const action = kill % 2 === 0 ? 'Apply' : 'Release';
      await ground.want(
        { ...WANTED, mode: kill % 4 < 2 ? 'nftables' : 'iptables' },
        { action, attempt: `kill-${kill}` },
      );
      ground.start();
      // A start takes about a second until it writes to the kernel, and a change about as long.
      await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 1_500));
      await ground.agents.endAgent('SIGKILL');
    }
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

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import type { NodeProxyState } from '../../src/core/api/node-proxy-state.ts';
import { listenTcpIn } from '../../src/kernel/netns.ts';
import { Cleanup } from '../../src/sandbox/demo/cleanup.ts';
import { NODE_PROXY_STATES_PATH } from '../../src/sandbox/demo/objects.ts';
import { startProduct } from '../../src/sandbox/demo/product.ts';
import { buildStage, makeFolder } from '../../src/sandbox/demo/stage.ts';
import { CLUSTER_FAULTS } from './diagnose-cluster-faults.ts';
import { NODE_FAULTS } from './diagnose-node-faults.ts';
import { ROLLOUT_FAULTS } from './diagnose-rollout-faults.ts';
import { settled, until, wantMode, type Scene } from './diagnose-scene.ts';
import { switchyard, type Answer } from './operate.ts';

/** What a fault changes reaches the agents a moment later. */
const LOOKS = 8;

interface FoundFinding {
  readonly code: string;
  readonly evidence: readonly string[];
}

describe('kubectl switchyard diagnose, on real nodes with real faults', () => {
  const cleanup = new Cleanup();
  let scene: Scene;
  const diagnose = (...argv: readonly string[]): Promise<Answer> =>
    switchyard(scene.stage.kubeconfig, 'diagnose', '-o', 'json', ...argv);

  before(async () => {
    const folder = await makeFolder(cleanup, () => false);
    const stage = await buildStage(folder, listenTcpIn, cleanup);
    const [n1] = stage.testbed.nodes;
    assert.ok(n1 !== undefined);
    scene = { stage, n1 };
    await startProduct(stage, cleanup, () => undefined);
    await wantMode(scene, 'iptables');
    await settled(scene);
  });
  after(() => cleanup.run());

  async function findNothing(): Promise<void> {
    const { code, stdout, stderr } = await diagnose();
    assert.deepEqual([code, JSON.parse(stdout), stderr], [0, { findings: [], notLookedAt: [] }, '']);
  }

  async function findings(argv: readonly string[] = []): Promise<readonly FoundFinding[]> {
    const { stdout, stderr } = await diagnose(...argv);
    assert.notEqual(stdout, '', stderr);
    return (JSON.parse(stdout) as { findings: FoundFinding[] }).findings;
  }

  it('finds nothing while all is well, in iptables mode', findNothing);

  it('finds nothing while all is well, in nftables mode', async () => {
    await wantMode(scene, 'nftables');
    await settled(scene);
    await findNothing();
  });

  for (const { name, code, says, argv, make, undo } of [...CLUSTER_FAULTS, ...ROLLOUT_FAULTS, ...NODE_FAULTS]) {
    it(`finds first: ${name}`, async () => {
      try {
        await make(scene);
        let found = await findings(argv);
        for (let look = 1; look < LOOKS && found[0]?.code !== code; look += 1) found = await findings(argv);
        const whole = JSON.stringify(found, null, 1);
        assert.equal(found[0]?.code, code, whole);
        if (says !== undefined) assert.match(found[0].evidence.join('\n'), says, whole);
      } finally {
        await undo(scene);
      }
    });
  }

  it('fetches the evidence of a node, and leaves nothing behind in its state', async () => {
    const file = `${scene.stage.folder}/n1.tar.gz`;
    const { code, stderr } = await switchyard(scene.stage.kubeconfig, 'snapshot', 'n1', '--file', file);
    assert.equal(code, 0, stderr);
    const { stdout } = spawnSync('tar', ['tzf', file], { encoding: 'utf8' });
    for (const name of ['report.json', 'nftables.txt', 'status.json', 'log.txt', 'conntrack-stats.txt'])
      assert.ok(stdout.includes(name), stdout);
    await until('the answer is taken out', async () => {
      const state = (await scene.stage.client.get(`${NODE_PROXY_STATES_PATH}/n1`)) as unknown as NodeProxyState;
      return (
        state.status?.answer === undefined && state.metadata.annotations?.['switchyard.dev/question'] === undefined
      );
    });
  });
});

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { CLUSTER_IP, eventually, NODE_PORT } from './agent-ground.ts';
import { NodeGround } from './node-ground.ts';
import { nodeManifests } from '../../src/sandbox/demo/objects.ts';
import { switchyard, type Answer } from './operate.ts';
import type { Host } from '../../src/sandbox/net/testbed.ts';

interface Traced {
  readonly outcomes: readonly { readonly kind: string; readonly decidedBy: { readonly chain: string } | null }[];
  readonly live: {
    readonly packets: readonly {
      readonly outcome: { readonly kind: string; readonly isMasqueraded?: boolean };
      readonly sentTo: { readonly address: string };
      readonly decidedBy: { readonly chain: string; readonly rule: string } | null;
      readonly agreesWithSnapshot: boolean;
      readonly steps: readonly { readonly chain: string; readonly isOurs: boolean }[];
    }[];
    readonly notes: readonly string[];
  };
}

const LOST_IP = '10.96.0.66';
const tablesOf = async (ground: NodeGround): Promise<string> =>
  (await ground.agents.testbed.exec(ground.agents.node, ['nft', 'list', 'tables'])).stdout;

describe('kubectl switchyard trace --live, on a real node with real packets', () => {
  let ground: NodeGround;

  before(async () => {
    ground = await NodeGround.create({ withClientPod: true });
    const { agents } = ground;
    await writeFile(agents.path('person'), agents.server.kubeconfig());
    for (const { path, body } of nodeManifests(agents.node)) await agents.apply(path, body);
    await agents.createService('lost', { clusterIP: LOST_IP });
    await ground.want({ mode: 'iptables' });
    ground.start();
    await agents.untilServing('iptables');
  });
  after(() => ground.agents.destroy());

  /** Traces while `from` opens one connection after the other. */
  async function traced(from: Host | undefined, to: [string, number], ...argv: readonly string[]): Promise<Traced> {
    const { agents } = ground;
    const stop = new AbortController();
    const script = `const one = () => require('node:net').connect(${to[1]}, '${to[0]}').on('connect', function () { this.destroy(); }).on('error', () => undefined).on('close', () => setTimeout(one, 100)); one();`;
    const child = from && agents.testbed.spawn(from, [process.execPath, '-e', script], { signal: stop.signal });
    child?.on('error', () => undefined);
    try {
      const { stdout, stderr, code } = await trace('-o', 'json', '--for', '5', ...argv);
      assert.equal(code, 0, stderr);
      const [first] = (JSON.parse(stdout) as { traces: Traced[] }).traces;
      assert.ok(first !== undefined);
      return first;
    } finally {
      stop.abort();
    }
  }

  function trace(...argv: readonly string[]): Promise<Answer> {
    return switchyard(ground.agents.path('person'), 'trace', ...argv, '--node', 'n1', '--live');
  }

  for (const mode of ['iptables', 'nftables'] as const) {
    it(`names the rule that decides, as the snapshot does, in ${mode} mode`, async () => {
      const { agents } = ground;
      await ground.want({ mode });
      await agents.untilServing(mode);
      const pod = agents.node.pods[2];
      assert.ok(pod !== undefined);
      const cases = [
        { name: 'a ClusterIP from a pod', from: pod, to: [CLUSTER_IP, 80], argv: ['default/web:tcp'] },
        {
          name: 'a NodePort from outside',
          from: agents.testbed.outside,
          to: [agents.node.address, NODE_PORT],
          argv: ['default/web:tcp', '--via', 'nodePort', '--from', 'outside'],
        },
        { name: 'no endpoints', from: pod, to: [LOST_IP, 80], argv: ['default/lost:tcp'], outcome: 'reject' },
        {
          name: 'the node itself, by its agent',
          from: undefined,
          to: ['', 0],
          argv: ['default/web:tcp', '--from', 'node'],
        },
      ] as const;
      for (const { name, from, to, argv, ...rest } of cases) {
        const { live } = await traced(from, [to[0], to[1]], ...argv);
        const whole = `${name}: ${JSON.stringify(live, null, 1)}`;
        assert.ok(live.packets.length > 0, whole);
        for (const packet of live.packets) {
          assert.equal(packet.outcome.kind, 'outcome' in rest ? rest.outcome : 'sent', whole);
          assert.ok(packet.decidedBy !== null && packet.agreesWithSnapshot, whole);
          assert.ok(
            packet.steps.every(({ isOurs, chain }) => isOurs || /^\w+ [A-Z]+$/.test(chain)),
            whole,
          );
        }
      }
    });
  }

  it('names a rule of somebody else that drops', async () => {
    const { agents } = ground;
    const pod = agents.node.pods[2];
    assert.ok(pod !== undefined);
    const nft = (line: string) => agents.testbed.exec(agents.node, ['nft', line]);
    await nft('add table inet hostfw');
    await nft('add chain inet hostfw raw { type filter hook prerouting priority -300; }');
    await nft(`add rule inet hostfw raw ip daddr ${CLUSTER_IP} drop`);
    try {
      const { live } = await traced(pod, [CLUSTER_IP, 80], 'default/web:tcp');
      const [packet] = live.packets;
      assert.equal(packet?.outcome.kind, 'drop', JSON.stringify(live, null, 1));
      assert.equal(packet.agreesWithSnapshot, false);
      assert.deepEqual(packet.decidedBy, { chain: 'inet hostfw raw', rule: `ip daddr ${CLUSTER_IP} drop` });
    } finally {
      await nft('delete table inet hostfw');
    }
  });

  it('leaves nothing behind: not at its end, and not when the agent is killed', async () => {
    assert.doesNotMatch(await tablesOf(ground), /trace/);
    const asked = trace('default/web:tcp', '--for', '30');
    await eventually('the kernel traces', async () => (/trace/.test(await tablesOf(ground)) ? true : undefined));
    await ground.agents.endAgent('SIGKILL');
    await eventually('it does no more', async () => (/trace/.test(await tablesOf(ground)) ? undefined : true));
    // As a kernel without owners of tables would leave it.
    await ground.agents.testbed.exec(ground.agents.node, ['nft', 'add table ip switchyard-trace']);
    ground.start();
    const { code, stdout, stderr } = await asked;
    // The agent that came up after the other may still answer, or not.
    assert.ok(code === 0 || /did not answer|no mode yet/.test(stderr), `${code} ${stdout} ${stderr}`);
    await eventually('the next start has swept', async () => (/trace/.test(await tablesOf(ground)) ? undefined : true));
  });
});

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import { AgentGround, eventually, NODE_PORT } from './agent-ground.ts';

const TIMEOUT_MS = 120_000;

/** Pages of the metrics port, and what they say of a node that has just started. */
const PAGES: readonly (readonly [path: string, ...texts: readonly RegExp[]])[] = [
  [
    '/metrics',
    /^switchyard_mode\{mode="iptables"\} 1$/m,
    /^kubeproxy_sync_proxy_rules_duration_seconds_count\{ip_family="IPv4"\} [1-9]/m,
    /^kubeproxy_sync_proxy_rules_last_timestamp_seconds\{ip_family="IPv4"\} [1-9]/m,
    /^kubeproxy_iptables_ct_state_invalid_dropped_packets_total 0$/m,
    /^kubeproxy_iptables_localhost_nodeports_accepted_packets_total 0$/m,
    /^rest_client_requests_total\{code="200",host="\S+:6443",method="GET"\} [1-9]/m,
  ],
  ['/statusz', /^Mode: iptables$/m],
  ['/flagz', /^node-name=n1$/m],
  ['/metrics/slis', /^kubernetes_healthcheck\{.*\} 1$/m],
];

describe('one node under a real agent', { timeout: TIMEOUT_MS }, () => {
  let ground: AgentGround;

  before(async () => {
    ground = await AgentGround.create();
  });

  after(() => ground.destroy());

  beforeEach(async () => {
    await ground.setMode('iptables');
    ground.startAgent();
    await ground.untilServing('iptables');
  });

  afterEach(async () => {
    await ground.endAgent('SIGTERM');
    await ground.setEndpoints(ground.testbed.pods);
  });

  const reach = async () => {
    const { testbed, node } = ground;
    const destination = { protocol: 'TCP', address: node.address, port: NODE_PORT, count: 20 } as const;
    return (await probe(testbed, testbed.outside, destination)).outcome;
  };

  async function assertNothingLost(): Promise<void> {
    const { attempts, lost, failed, resentSyns } = await ground.stopLoad();
    assert.deepEqual({ lost, failed, resentSyns }, { lost: 0, failed: [], resentSyns: 0 }, await ground.agentLog());
    assert.ok(attempts > 100, `${attempts} attempts`);
  }

  it('switches there and back with each edit of its profile, and nothing is lost', async () => {
    await ground.startLoad();
    for (const mode of ['nftables', 'iptables', 'nftables', 'iptables'] as const) {
      await ground.setMode(mode);
      await ground.untilServing(mode);
    }
    await assertNothingLost();
  });

  it('is killed at any moment of a switch and goes on, and nothing is lost', async () => {
    await ground.startLoad();
    for (const [round, delayMs] of [0, 30, 60, 90, 120, 200].entries()) {
      const mode = round % 2 === 0 ? 'nftables' : 'iptables';
      await ground.setMode(mode);
      const seen = (await ground.agentLog()).split('switch step').length;
      await eventually('the switch begins', async () =>
        (await ground.agentLog()).split('switch step').length > seen ? true : undefined,
      );
      await new Promise((resolve) => setTimeout(resolve, delayMs / 10));
      await ground.endAgent('SIGKILL');
      ground.startAgent();
      await ground.untilServing(mode);
    }
    await assertNothingLost();
  });

  it('keeps what it runs when the profile becomes invalid, and says all that is wrong with it', async () => {
    await ground.setMode('ebpf');
    await eventually('the log names the problem', async () =>
      /spec\.mode: .*iptables.*nftables/.test(await ground.agentLog()) ? true : undefined,
    );
    assert.equal((await ground.get(10249, '/proxyMode'))?.body, 'iptables');
    assert.equal(await reach(), 'ok');
  });

  it('leaves its rules when it stops, and finds them unchanged when it starts again', async () => {
    await ground.endAgent('SIGTERM');
    assert.equal(await reach(), 'ok');
    ground.startAgent();
    await ground.untilServing('iptables');
    assert.equal(await reach(), 'ok');
  });

  it('follows endpoints, and rejects when there are none', async () => {
    await ground.setEndpoints([]);
    await eventually('connections are refused', async () => ((await reach()) === 'refused' ? true : undefined));
    await ground.setEndpoints(ground.testbed.pods.slice(0, 1));
    await eventually('connections succeed', async () => ((await reach()) === 'ok' ? true : undefined));
  });

  it('answers on its health and metrics ports as kube-proxy does', async () => {
    // What serves is in the kernel some moments before the agent has seen that it is all of it.
    const healthz = await eventually('the node is healthy', async () => {
      const answered = await ground.get(10256, '/healthz');
      return answered?.status === 200 ? answered : undefined;
    });
    const body = JSON.parse(healthz.body) as Record<string, unknown>;
    assert.deepEqual([body['healthy'], body['nodeEligible']], [true, true]);
    assert.equal((await ground.get(10256, '/livez'))?.status, 200);
    assert.equal((await ground.get(10256, '/other'))?.status, 404);
    for (const [path, ...texts] of PAGES) {
      const answered = await ground.get(10249, path);
      for (const text of texts) assert.match(answered?.body ?? '', text);
    }
  });

  it('tells how many rules of ours there are', async () => {
    for (const [family, program] of [
      ['IPv4', 'iptables-save'],
      ['IPv6', 'ip6tables-save'],
    ] as const) {
      for (const table of ['nat', 'filter']) {
        const { stdout } = await ground.testbed.exec(ground.node, [program, '-t', table]);
        const inKernel = stdout.split('\n').filter((line) => /^-A .*SWITCHYARD/.test(line)).length;
        await eventually(`the metric has ${inKernel} rules in ${table} of ${family}`, async () => {
          const { body = '' } = (await ground.get(10249, '/metrics')) ?? {};
          const series = `kubeproxy_sync_proxy_rules_iptables_total{table="${table}",ip_family="${family}"} ${inKernel}`;
          return body.split('\n').includes(series) ? true : undefined;
        });
      }
    }
  });

  it('removes everything of its own, and nothing else, with --cleanup', async () => {
    await ground.endAgent('SIGTERM');
    const foreign =
      'add table ip other; add chain ip other c { type nat hook prerouting priority 0; }; add rule ip other c counter';
    await ground.testbed.exec(ground.node, ['nft', foreign]);
    await ground.testbed.exec(ground.node, [
      'iptables',
      '-A',
      'FORWARD',
      '-m',
      'comment',
      '--comment',
      'foreign',
      '-j',
      'ACCEPT',
    ]);
    const command = ['bin/switchyard', 'agent', '--cleanup', '--state-dir', ground.path('state')];
    await ground.testbed.exec(ground.node, command);
    const { stdout } = await ground.testbed.exec(ground.node, ['nft', 'list', 'ruleset']);
    assert.doesNotMatch(stdout, /switchyard/i);
    assert.match(stdout, /table ip other/);
    const rules = await ground.testbed.exec(ground.node, ['iptables-save']);
    assert.match(rules.stdout, /-A FORWARD .*foreign/);
    assert.doesNotMatch(rules.stdout, /SWITCHYARD/);
    ground.startAgent();
    await ground.untilServing('iptables');
  });
});

describe('one node while the API server is away', { timeout: TIMEOUT_MS }, () => {
  it('keeps serving, says so in one line, and an agent that starts then touches nothing', async () => {
    const ground = await AgentGround.create();
    try {
      await ground.setMode('nftables');
      ground.startAgent();
      await ground.untilServing('nftables');
      await ground.startLoad();
      await ground.server.close();
      await eventually('the log says that the API server is away', async () =>
        (await ground.agentLog()).includes('cannot read from the API server') ? true : undefined,
      );
      await ground.endAgent('SIGKILL');
      await writeFile(ground.path('agent.log'), '');
      ground.startAgent();
      await eventually('the new agent says so too', async () =>
        (await ground.agentLog()).includes('cannot read from the API server') ? true : undefined,
      );
      const complaints = (await ground.agentLog()).split('\n').filter((line) => line.includes('"level":"warn"'));
      assert.equal(complaints.length, 1, complaints.join('\n'));
      assert.equal((await ground.get(10256, '/healthz'))?.status, 503);
      const { lost, failed } = await ground.stopLoad();
      assert.deepEqual({ lost, failed }, { lost: 0, failed: [] });
    } finally {
      await ground.destroy();
    }
  });
});

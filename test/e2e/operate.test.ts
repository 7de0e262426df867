import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ControllerCluster } from './controller-cluster.ts';
import { switchyard, type Answer } from './operate.ts';

const NODES = ['n1', 'n2'];

describe('kubectl switchyard, against a controller whose agents the test plays', () => {
  let cluster: ControllerCluster;
  let kubeconfig = '';
  const run = (...argv: readonly string[]): Promise<Answer> => switchyard(kubeconfig, ...argv);

  before(async () => {
    cluster = await ControllerCluster.start();
    kubeconfig = cluster.kubeconfig('person');
    await cluster.addNodes(...NODES);
    cluster.run('controller');
    await cluster.createProfile('fleet', { mode: 'iptables' });
    await cluster.untilCondition('fleet', 'Available=True/AllNodesReady', { agents: NODES });
    await cluster.editProfile('fleet', { mode: 'nftables', clusterCIDR: '10.244.0.0/16' });
    await cluster.untilCondition('fleet', 'Available=True/AllNodesReady', { agents: NODES });
  });
  after(() => cluster.close());

  it('shows the fleet to people', async () => {
    const { code, stdout, stderr } = await run('status');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^PROFILE +MODE +REVISION/);
    assert.match(stdout, /^fleet +nftables .*AllNodesReady/m);
    assert.match(stdout, /^n2 +fleet +nftables .*True/m);
    assert.ok(!stdout.includes('\u001b'), 'no colours without a terminal');
  });

  it('shows the fleet to programs', async () => {
    const { stdout } = await run('status', '-o', 'json');
    const { profiles, nodes } = JSON.parse(stdout) as { profiles: { standing: string }[]; nodes: { mode: string }[] };
    assert.deepEqual(
      profiles.map(({ standing }) => standing),
      ['complete'],
    );
    assert.deepEqual(
      nodes.map(({ mode }) => mode),
      ['nftables', 'nftables'],
    );
  });

  it('shows one profile and one node', async () => {
    assert.match((await run('status', 'fleet')).stdout, /Conditions\n[^]*Available +True/);
    assert.match((await run('status', 'node/n1')).stdout, /^Mode: +nftables$/m);
  });

  it('names what there is when asked for what is not there', async () => {
    const { code, stderr } = await run('status', 'nobody');
    assert.deepEqual([code, stderr], [1, 'kubectl switchyard: there is no ProxyProfile "nobody"; there is: fleet\n']);
  });

  it('lists what each revision changed', async () => {
    const { stdout } = await run('history');
    assert.match(
      stdout,
      /nftables +target, last good .*clusterCIDR: "" > 10\.244\.0\.0\/16, mode: iptables > nftables/,
    );
  });

  it('changes nothing in a dry run', async () => {
    const { code, stdout } = await run('rollback', '--dry-run');
    assert.equal(code, 0);
    assert.match(stdout, /\(dry run\)/);
    assert.equal((await cluster.profile('fleet')).spec.mode, 'nftables');
  });

  it('pauses, goes back to the revision before, and says that it waits', async () => {
    assert.equal((await run('pause')).code, 0);
    const { code, stderr } = await run('rollback', 'fleet');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /paused/);
    const { mode, clusterCIDR, rollout } = (await cluster.profile('fleet')).spec;
    assert.deepEqual([mode, clusterCIDR, rollout.paused, rollout.canary.count], ['iptables', '', true, 0]);
    assert.equal((await run('status', '--watch', '--timeout', '20')).code, 6);
  });

  it('resumes and follows the rollout to its end', async () => {
    const [{ code, stdout, stderr }] = await Promise.all([
      run('resume', '--watch', '--timeout', '60'),
      cluster.untilCondition('fleet', 'Available=True/AllNodesReady', { agents: NODES }),
    ]);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /profile fleet: Done, 2\/2 nodes updated; AllNodesReady/);
  });

  it('ends with a code of its own when the fleet went back', async () => {
    await cluster.editProfile('fleet', { mode: 'iptables', masqueradeAll: true });
    const watched = run('status', '--watch', '--timeout', '60');
    await cluster.until('a node is granted', async () =>
      Object.values(await cluster.granted()).some((text) => text.endsWith('*')),
    );
    await cluster.actAsAgents(NODES, 'RolledBack');
    await cluster.untilCondition('fleet', 'Degraded=True/RolledBack');
    const { code, stdout } = await watched;
    assert.equal(code, 4, stdout);
    await cluster.editProfile('fleet', { masqueradeAll: false });
    await cluster.untilCondition('fleet', 'Available=True/AllNodesReady', { agents: NODES });
  });

  it('ends with a code of its own when the time is up', async () => {
    await cluster.editProfile('fleet', { mode: 'nftables' });
    assert.equal((await run('status', 'fleet', '--watch', '--timeout', '1')).code, 5);
  });

  it('traces a flow without touching a node, in each mode', async () => {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { ports: [{ port: 80, targetPort: 8080 }] },
    };
    const made = (await cluster.call('POST', '/api/v1/namespaces/default/services', service)) as {
      spec: { clusterIP: string };
    };
    await cluster.call('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.244.9.9'] }],
      ports: [{ name: '', port: 8080 }],
    });
    for (const mode of ['iptables', 'ipvs', 'nftables']) {
      const { stdout, stderr } = await run('trace', 'web', '--from', '10.244.1.5', '--mode', mode, '-o', 'json');
      const { traces } = JSON.parse(stdout || stderr) as {
        traces: { packet: object; outcomes: Record<string, unknown>[] }[];
      };
      const [{ packet, outcomes } = { packet: {}, outcomes: [] }] = traces;
      assert.deepEqual({ ...packet, destination: made.spec.clusterIP }, packet);
      assert.deepEqual(
        outcomes.map(({ kind, address, port }) => [kind, address, port]),
        [['sent', '10.244.9.9', 8080]],
      );
      assert.ok(outcomes.every(({ decidedBy }) => decidedBy !== null));
    }
    const { code, stderr } = await run('trace', 'shop/web');
    assert.equal(code, 1);
    assert.match(stderr, /there is default\/web/);
  });

  it('refuses wrong flags with code 2 and says which', async () => {
    const { code, stderr } = await run('status', '-o', 'xml');
    assert.equal(code, 2);
    assert.match(stderr, /table, wide, json, yaml/);
  });

  it('says in one line what to do when there is no such context or server', async () => {
    assert.match(
      (await run('status', '--context', 'mars')).stderr,
      /^kubectl switchyard: the kubeconfig has no context "mars"; it has: .*\n$/,
    );
    const away = cluster.kubeconfig('away', { server: 'https://127.0.0.1:1' });
    const { code, stderr } = await switchyard(away, 'status');
    assert.equal(code, 1);
    assert.match(stderr, /^[^\n]*ECONNREFUSED[^\n]*--kubeconfig[^\n]*\n$/);
  });

  it('completes subcommands, choices and names of objects', async () => {
    assert.equal(
      (await run('__complete', 'roll')).stdout,
      'rollback\tMake a profile ask for an earlier revision again.\n:4\n',
    );
    assert.equal((await run('__complete', '--', 'status', '--output', 'j')).stdout, 'json\n:4\n');
    assert.equal(
      (await run('__complete', '--', 'status', '--kubeconfig', kubeconfig, 'no')).stdout,
      'node/n1\nnode/n2\n:4\n',
    );
    assert.equal((await run('__complete', '--', 'status', '--kubeconfig', '')).stdout, ':0\n');
  });
});

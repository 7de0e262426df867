import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { eventually } from './agent-ground.ts';
import { NodeGround } from './node-ground.ts';
import { switchyard } from './operate.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const AGENT = 'system:serviceaccount:switchyard-system:agent';
const API_VERSION = 'rbac.authorization.k8s.io/v1';
/** Of these everything, and of discovery.k8s.io what a test says. */
const GROUPS = ['', 'switchyard.dev', 'networking.k8s.io', 'coordination.k8s.io', 'events.k8s.io'];

describe('kubectl switchyard diagnose, of an agent that loses a right', () => {
  let ground: NodeGround;

  const mayRead = (isAllowed: boolean) =>
    ground.agents.apply(`${RBAC}/clusterroles/agent`, {
      apiVersion: API_VERSION,
      kind: 'ClusterRole',
      metadata: { name: 'agent' },
      rules: [
        { apiGroups: GROUPS, resources: ['*'], verbs: ['*'] },
        ...(isAllowed ? [{ apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['*'] }] : []),
      ],
    });

  before(async () => {
    ground = await NodeGround.create({ enforcesAccess: true });
    const { agents } = ground;
    await writeFile(agents.path('person'), agents.server.kubeconfig());
    await mayRead(true);
    await agents.apply(`${RBAC}/clusterrolebindings/agent`, {
      apiVersion: API_VERSION,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'agent' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'agent' },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: AGENT }],
    });
    const kubeconfig = await readFile(agents.path('kubeconfig'), 'utf8');
    const token = agents.server.addToken(AGENT);
    await writeFile(agents.path('kubeconfig'), kubeconfig.replaceAll(agents.server.adminToken, token));
    ground.start();
    await ground.want({ mode: 'nftables' });
    await ground.untilServing();
  });
  after(() => ground.agents.destroy());

  const findings = async (): Promise<readonly { code: string; evidence: string[] }[]> => {
    const person = ground.agents.path('person');
    const { stdout, stderr } = await switchyard(person, 'diagnose', '-o', 'json', '--no-connect');
    assert.notEqual(stdout, '', stderr);
    const all = (JSON.parse(stdout) as { findings: { code: string; evidence: string[] }[] }).findings;
    // There is no controller.
    return all.filter(({ code }) => code !== 'NoProfile');
  };

  /** Ends the connections on which something comes. */
  async function breakWatches(): Promise<void> {
    const { agents } = ground;
    const nft = (line: string) => agents.testbed.exec(agents.node, ['nft', line]);
    await nft('add table inet cut; add chain inet cut out { type filter hook output priority 0; }');
    await nft('add rule inet cut out tcp dport 6443 reject with tcp reset');
    await agents.setEndpoints(agents.backends.slice(0, 1));
    await eventually('a connection was reset', async () =>
      (await agents.agentLog()).includes('cannot read from the API server') ? true : undefined,
    );
    await nft('delete table inet cut');
  }

  it('finds nothing while it may read all', async () => {
    assert.deepEqual(await findings(), []);
  });

  const healthz = async () =>
    (await ground.sh('curl -s -o /dev/null -w %{http_code} http://127.0.0.1:10256/healthz')).trim();
  const saidOften = async (reason: string) => {
    const { items = [] } = (await ground.agents.client.get('/apis/events.k8s.io/v1/namespaces/default/events', {})) as {
      items?: { reason: string; regarding: { kind: string } }[];
    };
    return items.filter((event) => event.reason === reason && event.regarding.kind === 'Node').length;
  };

  it('finds first what it may not read any more, and nothing once it may', async () => {
    await mayRead(false);
    await breakWatches();
    await eventually('it is found', async () => {
      const [first] = await findings();
      return first?.code === 'AgentStale' && /endpointslices: not followed .*forbidden/.test(first.evidence.join())
        ? true
        : undefined;
    });
    const said = await eventually(
      'its status says so, too',
      async () => {
        const { status, reason, message } = (await ground.condition('DataplaneSynced')) ?? {};
        return status === 'False' && reason === 'InputsStale' ? message : undefined;
      },
      90_000,
    );
    assert.match(said, /cannot read EndpointSlices since 20.*forbidden.*\(RBAC\); .*the rules stay as they are/);
    assert.equal((await ground.condition('Ready'))?.reason, 'InputsStale');
    assert.equal(await healthz(), '200', 'an agent without news is no agent that cannot program them');
    await ground.untilEvent('InputsStale', { note: /EndpointSlices/ });
    await mayRead(true);
    await ground.untilServing();
    assert.equal((await ground.condition('DataplaneSynced'))?.reason, 'InSync');
    assert.equal(await saidOften('InputsStale'), 1);
    await eventually('it is well', async () => ((await findings()).length === 0 ? true : undefined));
  });
});

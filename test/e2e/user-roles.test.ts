import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request, Agent } from 'undici';
import { ControllerCluster } from './controller-cluster.ts';
import { CONTROLLER, installRoles, personWith } from './installed-roles.ts';
import { switchyard, type Answer } from './operate.ts';

const NODES = ['n1'];
const STATE = '/apis/switchyard.dev/v1alpha1/nodeproxystates/n1';

describe("a person with the chart's role for looking, and no other right", () => {
  let cluster: ControllerCluster;
  let viewer = '';
  const run = (...argv: readonly string[]): Promise<Answer> => switchyard(viewer, ...argv);

  before(async () => {
    cluster = await ControllerCluster.start({ enforcesAccess: true });
    await installRoles(cluster);
    viewer = await personWith(cluster, 'view');
    await cluster.addNodes(...NODES);
    cluster.run('controller', { kubeconfig: cluster.kubeconfigAs(CONTROLLER) });
    await cluster.createProfile('fleet', { mode: 'iptables' });
    await cluster.untilCondition('fleet', 'Available=True/AllNodesReady', { agents: NODES });
    await cluster.call('POST', '/api/v1/namespaces/kube-system/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kube-proxy' },
      data: {
        'config.conf': 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n',
      },
    });
  });
  after(() => cluster.close());

  const looks: readonly (readonly string[])[] = [
    ['status'],
    ['status', 'node/n1'],
    ['history'],
    ['plan', 'fleet'],
    ['trace', '10.96.0.1:443', '--from', '10.244.1.5'],
    ['import'],
  ];
  it('looks at everything', async () => {
    for (const argv of looks) {
      const { code, stderr } = await run(...argv);
      assert.equal(code, 0, `${argv.join(' ')}: ${stderr}`);
    }
    const { code, stderr } = await run('diagnose', '--no-ask-nodes');
    assert.ok(code !== 1, stderr);
  });

  const changes: readonly (readonly string[])[] = [['pause'], ['snapshot', 'n1']];
  it('changes nothing, and is told which right is missing', async () => {
    for (const argv of changes) {
      const { code, stderr } = await run(...argv);
      assert.equal(code, 1, argv.join(' '));
      assert.match(stderr, /cannot patch resource .*switchyard\.dev.*ask for the right/, argv.join(' '));
    }
    assert.equal((await cluster.profile('fleet')).spec.rollout.paused, false);
  });

  it('sees a node that is changed past its profile refused, even to an administrator', async () => {
    const dispatcher = new Agent({ allowH2: false, connect: { ca: cluster.server.caPem } });
    const patch = async (body: object): Promise<string> => {
      const answer = await request(`${cluster.server.url}${STATE}`, {
        method: 'PATCH',
        dispatcher,
        headers: {
          authorization: `Bearer ${cluster.server.adminToken}`,
          'content-type': 'application/merge-patch+json',
        },
        body: JSON.stringify(body),
      });
      return `${answer.statusCode} ${await answer.body.text()}`;
    };
    try {
      assert.match(
        await patch({ spec: { action: 'Release' } }),
        /^403 .*only the controller decides what a node runs; change its ProxyProfile/,
      );
      assert.match(await patch({ metadata: { annotations: { note: 'asked' } } }), /^200 /);
    } finally {
      await dispatcher.close();
    }
  });
});

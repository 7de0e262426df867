import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { request, Agent } from 'undici';
import { commandsOf } from '../chart/readme-commands.ts';
import { ControllerCluster } from './controller-cluster.ts';
import { CONTROLLER, installRoles, personWith } from './installed-roles.ts';
import { switchyard, type Answer } from './operate.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const KUBECTL = join(PROJECT, '.cache/kubectl/usr/bin');
const SKIP_WITHOUT_KUBECTL = existsSync(KUBECTL) ? false : 'no kubectl in .cache: run it through npm test';
const PATH_WITH_KUBECTL = [KUBECTL, join(PROJECT, 'bin'), process.env.PATH].join(':');
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
    await cluster.createProfile('default', { mode: 'iptables', rollout: { dryRun: false } });
    await cluster.untilCondition('default', 'Available=True/AllNodesReady', { agents: NODES });
    await cluster.call('POST', '/api/v1/namespaces/kube-system/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kube-proxy' },
      data: {
        'config.conf':
          'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nclusterCIDR: 10.244.0.0/16\n',
      },
    });
  });
  after(() => cluster.close());

  const looks: readonly (readonly string[])[] = [
    ['status'],
    ['status', 'node/n1'],
    ['history'],
    ['plan', 'default'],
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

  const asOperator = { skip: SKIP_WITHOUT_KUBECTL };
  it('makes way for one who operates, and who moves from kube-proxy as the guide says', asOperator, async () => {
    const kubeconfig = await personWith(cluster, 'operate');
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-guide-'));
    const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: folder, PATH: PATH_WITH_KUBECTL };
    try {
      for (const command of commandsOf('docs/migration-from-kube-proxy.md', '## What you do')) {
        await promisify(execFile)('sh', ['-c', command], { cwd: folder, env, timeout: 60_000 });
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    const { mode, clusterCIDR, rollout } = (await cluster.profile('default')).spec;
    assert.deepEqual([mode, clusterCIDR, rollout.dryRun], ['ipvs', '10.244.0.0/16', false]);
  });

  const changes: readonly (readonly string[])[] = [['pause'], ['snapshot', 'n1']];
  it('changes nothing, and is told which right is missing', async () => {
    for (const argv of changes) {
      const { code, stderr } = await run(...argv);
      assert.equal(code, 1, argv.join(' '));
      assert.match(stderr, /cannot patch resource .*switchyard\.dev.*ask for the right/, argv.join(' '));
    }
    assert.equal((await cluster.profile('default')).spec.rollout.paused, false);
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

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { commandsOf } from '../chart/readme-commands.ts';
import { listOf, textOf } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';
import { until } from './widgets.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const KUBECTL = fileURLToPath(new URL('../../.cache/kubectl/usr/bin', import.meta.url));
const SKIP = existsSync(KUBECTL) ? false : 'no kubectl in .cache: run it through npm test';

describeApiServer(
  'The README, without helm',
  (server) => {
    const run = (command: string, cwd = PROJECT): Promise<{ stdout: string; stderr: string }> => {
      const env = { ...process.env, KUBECONFIG: server().kubeconfigPath, PATH: `${KUBECTL}:${process.env.PATH}` };
      return promisify(execFile)('sh', ['-c', command], { cwd, env, timeout: 60_000 });
    };

    before(async () => {
      const commands = commandsOf('README.md', '### Without helm');
      assert.ok(commands.length >= 4, commands.join('\n'));
      for (const command of commands) {
        await run(command);
        await until('the definitions are served', async () => {
          const { status } = await server().client.get('/apis/switchyard.dev/v1alpha1/proxyprofiles');
          return status === 200;
        });
      }
    });
    it('installs what the chart installs, whose pods find the address', async () => {
      const { client } = server();
      const { body } = await client.get('/apis/apps/v1/namespaces/kube-system/daemonsets/switchyard-agent');
      const [container] = listOf(body.spec?.template?.spec?.containers);
      const host = listOf(container?.env).find(({ name }) => textOf(name) === 'KUBERNETES_SERVICE_HOST');
      const reference = host?.valueFrom?.configMapKeyRef;
      const path = `/api/v1/namespaces/kube-system/configmaps/${textOf(reference?.name)}`;
      assert.equal(textOf((await client.get(path)).body.data?.[textOf(reference?.key)]), 'API-SERVER-ADDRESS');
    });

    it('makes a first profile that touches no node', async () => {
      const { body } = await server().client.get('/apis/switchyard.dev/v1alpha1/proxyprofiles/default');
      assert.equal(body.spec?.rollout?.dryRun, true);
    });

    it('may be applied again', async () => {
      const upgrades = commandsOf('docs/operations.md', '## Upgrade').filter((each) =>
        each.startsWith('kubectl apply'),
      );
      assert.equal(upgrades.length, 1);
      for (const command of ['kubectl apply -f crds/', 'kubectl apply -k deploy/', ...upgrades]) {
        const { stdout } = await run(command);
        // What the server fills in by itself has to be in the files: else every look finds a difference.
        const changed = stdout.split('\n').filter((line) => !/^$| unchanged$| serverside-applied$/.test(line));
        assert.deepEqual(changed, [], command);
      }
    });

    it('is looked at as docs/troubleshooting.md and docs/alerts.md say', async () => {
      const commands = commandsOf('docs/troubleshooting.md', '# Troubleshooting');
      // No pod runs here, so there is no log.
      const looks = [...commands, ...commandsOf('docs/alerts.md', '# Alerts')].filter(
        (command) => !command.includes(' logs '),
      );
      assert.ok(looks.length >= 4);
      const [first = ''] = await Promise.all(looks.map(async (command) => (await run(command)).stdout));
      assert.match(first, /^NAME +MODE +.*\ndefault +nftables/);
    });

    it('gives people their roles as docs/kubectl-switchyard.md says', async () => {
      const commands = commandsOf('docs/kubectl-switchyard.md', '## Rights');
      assert.ok(commands.length > 0);
      for (const command of commands) await run(command);
      const { body } = await server().client.get(
        '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/switchyard-on-call',
      );
      assert.equal(body.roleRef?.name, 'switchyard-operate');
    });

    it('makes credentials for a gate as docs/rollout.md says', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'switchyard-gate-'));
      try {
        await writeFile(join(folder, 'ca.crt'), server().ca);
        for (const command of commandsOf('docs/rollout.md', '## Gates')) await run(command, folder);
      } finally {
        await rm(folder, { recursive: true });
      }
      const { body } = await server().client.get('/api/v1/namespaces/kube-system/secrets/prometheus');
      assert.ok(body.metadata?.annotations?.['switchyard.dev/gate-servers']);
      assert.deepEqual(Object.keys(body.data ?? {}).sort(), ['ca.crt', 'token']);
    });

    it('lets go of a profile as docs/troubleshooting.md says', async () => {
      const path = '/apis/switchyard.dev/v1alpha1/proxyprofiles/default';
      const { client } = server();
      await client.patch(path, 'merge-patch+json', { metadata: { finalizers: ['switchyard.dev/release'] } });
      await client.delete(path);
      assert.equal((await client.get(path)).status, 200, 'nobody ends the wait');
      for (const command of commandsOf('docs/troubleshooting.md', '## Taking it away')) await run(command);
      assert.equal((await client.get(path)).status, 404);
    });

    it('goes again', async () => {
      await run('kubectl delete -k deploy/');
      const { status } = await server().client.get('/apis/apps/v1/namespaces/kube-system/daemonsets/switchyard-agent');
      assert.equal(status, 404);
    });
  },
  { skip: SKIP },
);

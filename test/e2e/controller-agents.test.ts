import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { API_VERSION } from '../../src/core/api/meta.ts';
import type { NodeProxyState } from '../../src/core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../src/core/api/proxy-profile.ts';
import { listenTcpIn } from '../../src/kernel/netns.ts';
import { Cleanup } from '../../src/sandbox/demo/cleanup.ts';
import { ManagedProcess } from '../../src/sandbox/demo/process.ts';
import { buildStage, type Stage } from '../../src/sandbox/demo/stage.ts';
import { CONTROLLER_NAMESPACE } from '../../src/sandbox/demo/story.ts';
import { eventually } from './agent-ground.ts';

const SWITCHYARD = fileURLToPath(new URL('../../bin/switchyard', import.meta.url));
const PROFILE = `/apis/${API_VERSION}/proxyprofiles/all`;
const CONFIG = '/proc/config.gz';
/** nftables mode alone cannot do without it. */
const MODULE = 'nft_numgen';
const DEADLINE_MS = 90_000;
/** Where modules are files, or loaded, a configuration without the module convinces nobody. */
const REASON = 'this kernel does not tell of its modules by /proc/config.gz alone';
const skip = existsSync(CONFIG) && !existsSync('/proc/modules') && !existsSync('/lib/modules') ? false : REASON;

describe('three real agents, one of which cannot run the mode', { skip, timeout: 400_000 }, () => {
  const cleanup = new Cleanup();
  const agents = new Map<string, ManagedProcess>();
  const deaths: string[] = [];
  let folder: string;
  let stage: Stage;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-agents-'));
    cleanup.add(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'config.gz'), configWithout(`CONFIG_${MODULE.toUpperCase()}=`));
    stage = await buildStage(folder, listenTcpIn, cleanup);
    const argv = [SWITCHYARD, 'controller', '--kubeconfig', await stage.kubeconfigFor('controller')];
    run('controller', stage.testbed.fabric, [...argv, '--namespace', CONTROLLER_NAMESPACE, '--no-leader-elect']);
    for (const { name } of stage.testbed.nodes) await startAgent(name);
    await edit({ mode: 'iptables' }, { maxUnavailable: 3, canary: { count: 0 } });
    await untilProfile('False/Complete');
  });
  after(() => cleanup.run());

  function configWithout(line: string): Buffer {
    const text = gunzipSync(readFileSync(CONFIG)).toString();
    return gzipSync(
      text
        .split('\n')
        .filter((each) => !each.startsWith(line))
        .join('\n'),
    );
  }

  function run(name: string, host: Stage['testbed']['fabric'], argv: readonly string[]): ManagedProcess {
    const process = new ManagedProcess(
      stage.testbed,
      { name, host, argv, logFile: join(folder, `${name}.log`) },
      (error) => deaths.push(error.message),
    );
    cleanup.add(() => process.stop());
    return process;
  }

  /** `isCrippled`: with a kernel that lacks the module, as far as the agent can see. */
  async function startAgent(name: string, isCrippled = false): Promise<void> {
    const host = stage.testbed.node(name);
    const kubeconfig = await stage.kubeconfigFor(`agent-${name}`);
    const argv = [SWITCHYARD, 'agent', '--kubeconfig', kubeconfig, '--node-name', name];
    const all = [...argv, '--state-dir', join(folder, 'state', name), '--namespace', CONTROLLER_NAMESPACE];
    const script = `mount --bind ${join(folder, 'config.gz')} ${CONFIG} && exec "$@"`;
    const wrapper = isCrippled ? ['unshare', '--mount', 'sh', '-c', script, 'sh'] : [];
    agents.set(name, run(`agent-${name}`, host, [...wrapper, ...all]));
  }

  async function edit(spec: object, rollout: object): Promise<void> {
    const body = {
      apiVersion: API_VERSION,
      kind: 'ProxyProfile',
      metadata: { name: 'all' },
      spec: { ...spec, rollout: { batchSoak: '0s', ...rollout } },
    };
    await stage.client.apply(PROFILE, body, 'test');
  }

  const profile = async () => (await stage.client.get(PROFILE)) as unknown as ProxyProfile;

  async function untilProfile(expected: string): Promise<ProxyProfile> {
    return eventually(
      `Progressing=${expected}`,
      async () => {
        assert.deepEqual(deaths, []);
        const found = await profile();
        const { observedGeneration, status, reason } =
          found.status?.conditions?.find(({ type }) => type === 'Progressing') ?? {};
        return observedGeneration === found.metadata.generation && `${status}/${reason}` === expected
          ? found
          : undefined;
      },
      DEADLINE_MS,
    );
  }

  async function states(): Promise<Map<string, NodeProxyState>> {
    const { items } = (await stage.client.get(`/apis/${API_VERSION}/nodeproxystates`)) as unknown as {
      items: NodeProxyState[];
    };
    return new Map(items.map((state) => [state.metadata.name, state]));
  }

  async function untilState(name: string, what: string, isTrue: (state: NodeProxyState) => boolean): Promise<void> {
    await eventually(
      `${name} ${what}`,
      async () => {
        const state = (await states()).get(name);
        return state !== undefined && isTrue(state) ? true : undefined;
      },
      DEADLINE_MS,
    );
  }

  /** All serve in iptables mode. */
  async function assertBack(): Promise<void> {
    for (const [name, { status }] of await states()) {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
      assert.deepEqual([name, status?.current?.mode, ready], [name, 'iptables', 'True']);
    }
  }

  const grantedTo = (name: string) =>
    untilState(
      name,
      'is granted nftables',
      ({ spec }) => spec.rendered.mode === 'nftables' && spec.attempt !== undefined,
    );

  it('as the canary: it fails, and the message names the module', async () => {
    await agents.get('n3')?.stop();
    const canary = { count: 1, soak: '0s', selector: { matchLabels: { 'kubernetes.io/hostname': 'n3' } } };
    await edit({ mode: 'nftables' }, { canary });
    await grantedTo('n3');
    // It comes back from a reboot into a kernel that lacks the module.
    await startAgent('n3', true);
    const { status } = await untilProfile('False/Rejected');
    const [rejected] = status?.revision?.rejected ?? [];
    assert.match(`${rejected?.cause}: ${rejected?.message}`, new RegExp(`n3.*${MODULE}`));
    const degraded = status?.conditions?.find(({ type }) => type === 'Degraded');
    assert.match(`${degraded?.reason} ${degraded?.message}`, new RegExp(`RolledBack .*${MODULE}`));
    await assertBack();
  });

  it('before anything moves: the preflight names node and module', async () => {
    await untilState(
      'n3',
      'says what it lacks',
      ({ status }) => status?.preflight?.modes.includes('nftables') === false,
    );
    await edit({ mode: 'nftables' }, { canary: { count: 1, soak: '0s' }, retryToken: 'with the preflight' });
    const { status } = await untilProfile('False/PreflightFailed');
    const message = status?.conditions?.find(({ type }) => type === 'Progressing')?.message ?? '';
    assert.match(message, new RegExp(`n3 cannot run .*${MODULE}.*Nothing was touched`));
    await assertBack();
  });

  it('after others have moved: they go back', async () => {
    // Else the rollout would go on as soon as the node is whole again.
    await edit({ mode: 'iptables' }, { maxUnavailable: 1 });
    await untilProfile('False/Complete');
    await agents.get('n3')?.stop();
    await startAgent('n3');
    await untilState('n3', 'serves and can run nftables', ({ status }) => {
      const isReady = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True');
      return isReady === true && status?.preflight?.modes.includes('nftables') === true;
    });
    await agents.get('n3')?.stop();
    await edit({ mode: 'nftables' }, { canary: { count: 1, soak: '0s' }, retryToken: 'last in its turn' });
    await grantedTo('n3');
    const moved = [...(await states()).values()].map(({ status }) => status?.current?.mode);
    assert.deepEqual(moved.sort(), ['iptables', 'nftables', 'nftables']);
    await startAgent('n3', true);
    const { status } = await untilProfile('False/Rejected');
    assert.match(status?.revision?.rejected?.[0]?.message ?? '', new RegExp(`n3.*${MODULE}`));
    await assertBack();
  });
});

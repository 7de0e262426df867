import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { checkInstallation } from '../../../src/cli/installation/check-installation.ts';
import { releaseFleet } from '../../../src/cli/installation/release-fleet.ts';
import { FINALIZER } from '../../../src/core/rollout/release.ts';
import { ApiError } from '../../../src/kube/error.ts';
import type { Clock } from '../../../src/support/clock.ts';

const PROFILES = '/apis/switchyard.dev/v1alpha1/proxyprofiles';
const STATES = '/apis/switchyard.dev/v1alpha1/nodeproxystates';
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/switchyard-controller';
const DAEMON_SET = '/apis/apps/v1/namespaces/kube-system/daemonsets/switchyard-agent';

interface Thing {
  metadata: { name: string; finalizers?: string[]; deletionTimestamp?: string };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

/** Answers as an API server and, whenever somebody sleeps, acts as a controller and its agents. */
class Cluster implements Clock {
  readonly server = 'https://192.0.2.1:6443';
  nowMs = Date.parse('2026-01-01T00:00:00Z');
  profiles: Thing[] = [];
  states: Thing[] = [];
  answers = new Map<string, object>();
  hasController = true;
  /** Nodes whose agents are gone; the controller gives them up. */
  silent: string[] = [];
  readonly writes: string[] = [];

  now = (): number => this.nowMs;
  monotonicMs = (): number => this.nowMs;

  sleep(ms: number): Promise<void> {
    this.nowMs += ms;
    if (this.hasController) this.#reconcile();
    return Promise.resolve();
  }

  #reconcile(): void {
    for (const profile of this.profiles) {
      const { metadata, spec } = profile;
      if (metadata.deletionTimestamp === undefined && spec?.['onDelete'] === 'Release')
        metadata.finalizers = [FINALIZER];
    }
    const isGoing = this.profiles.some(({ metadata }) => metadata.deletionTimestamp !== undefined);
    if (!isGoing) return;
    for (const state of this.states) {
      state.spec = { action: 'Release' };
      if (!this.silent.includes(state.metadata.name)) delete state.status;
    }
    this.profiles = this.profiles.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  get(path: string): Promise<Record<string, unknown>> {
    if (path === PROFILES) return Promise.resolve({ items: structuredClone(this.profiles) });
    if (path === STATES) return Promise.resolve({ items: structuredClone(this.states) });
    const answer = this.answers.get(path);
    if (answer !== undefined) return Promise.resolve(answer as Record<string, unknown>);
    return Promise.reject(new ApiError('GET', path, 404, { reason: 'NotFound' }));
  }

  apply(path: string, body: unknown): Promise<Record<string, unknown>> {
    this.writes.push(`apply ${path}`);
    const profile = this.profiles.find(({ metadata }) => path.endsWith(`/${metadata.name}`));
    Object.assign(profile?.spec ?? {}, (body as Thing).spec);
    return Promise.resolve({});
  }

  remove(path: string): Promise<Record<string, unknown>> {
    this.writes.push(`delete ${path}`);
    const profile = this.profiles.find(({ metadata }) => path.endsWith(`/${metadata.name}`));
    assert.deepEqual(profile?.metadata.finalizers, [FINALIZER], 'it would go without a word to its nodes');
    profile.metadata.deletionTimestamp = 'now';
    return Promise.resolve({});
  }
}

describe('switchyard release', () => {
  let cluster: Cluster;
  let said: string[];

  beforeEach(() => {
    cluster = new Cluster();
    said = [];
  });

  const release = (): Promise<void> =>
    releaseFleet({ client: cluster, clock: cluster, timeoutMs: 60_000, say: (line) => said.push(line) });
  const addNode = (name: string): void => {
    cluster.states.push({ metadata: { name }, spec: { action: 'Apply' }, status: { current: { mode: 'nftables' } } });
  };

  it('has nothing to do without profiles, and without the definitions', async () => {
    await release();
    cluster.get = (path) => Promise.reject(new ApiError('GET', path, 404, {}));
    await release();
    assert.deepEqual(said, ['every node is released', 'every node is released']);
  });

  it('deletes a profile only when the controller holds on to it, and waits for the nodes', async () => {
    cluster.profiles = [{ metadata: { name: 'a' }, spec: { onDelete: 'Keep' } }];
    addNode('n1');
    await release();
    assert.deepEqual(cluster.writes, [`apply ${PROFILES}/a`, `delete ${PROFILES}/a`]);
    assert.equal(said.at(-1), 'every node is released');
  });

  it('says so when there is no controller', async () => {
    cluster.profiles = [{ metadata: { name: 'a' }, spec: {} }];
    cluster.hasController = false;
    await assert.rejects(release(), /waiting for the controller to take up a after 60 s/);
    assert.deepEqual(
      cluster.writes.filter((write) => write.startsWith('delete')),
      [],
    );
  });

  it('names the nodes that never answered', async () => {
    cluster.profiles = [{ metadata: { name: 'a' }, spec: { onDelete: 'Release' } }];
    addNode('n1');
    addNode('n2');
    cluster.silent = ['n2'];
    await assert.rejects(release(), /^UserError: n2 did not answer and keep what they run .* --no-hooks/);
    await assert.rejects(release(), /^UserError: n2 did not answer/, 'trying again makes it no better');
  });

  it('names the nodes that serve for a profile that is gone', async () => {
    addNode('n1');
    await assert.rejects(
      release(),
      /^UserError: n1 run what a profile asked for that is gone: make one that selects them/,
    );
  });
});

describe('switchyard check', () => {
  let cluster: Cluster;

  beforeEach(() => {
    cluster = new Cluster();
    cluster.answers.set(LEASE, { spec: { holderIdentity: 'c', renewTime: '2026-01-01T00:00:00.000000Z' } });
    cluster.answers.set(DAEMON_SET, { status: { desiredNumberScheduled: 2, numberReady: 2 } });
  });

  const check = async (timeoutMs = 0): Promise<string[]> => {
    const said: string[] = [];
    const names = { namespace: 'kube-system', daemonSet: 'switchyard-agent' };
    await checkInstallation({ client: cluster, clock: cluster, timeoutMs, say: (line) => said.push(line), ...names });
    return said;
  };

  it('says what is well', async () => {
    assert.equal((await check()).length, 3);
  });

  it('waits for what comes up', async () => {
    cluster.answers.set(DAEMON_SET, { status: { desiredNumberScheduled: 2, numberReady: 1 } });
    const checked = check(60_000);
    cluster.answers.set(DAEMON_SET, { status: { desiredNumberScheduled: 2, numberReady: 2 } });
    assert.equal((await checked).length, 3);
  });

  const problems: readonly (readonly [string, (cluster: Cluster) => void, RegExp])[] = [
    [
      'an agent that is not ready',
      (at) => at.answers.set(DAEMON_SET, { status: { desiredNumberScheduled: 2, numberReady: 1 } }),
      /1 of 2 are ready/,
    ],
    ['no node for an agent', (at) => at.answers.set(DAEMON_SET, { status: {} }), /matches no node/],
    ['no agents at all', (at) => void at.answers.delete(DAEMON_SET), /daemonsets\/switchyard-agent failed: NotFound/],
    [
      'a Lease that nobody holds',
      (at) => at.answers.set(LEASE, { spec: { holderIdentity: '' } }),
      /nobody holds the Lease/,
    ],
    ['a Lease that is old', (at) => void (at.nowMs += 60_000), /c has not renewed the Lease since 2026-01-01/],
    [
      'a profile that is refused',
      (at) => {
        const conditions = [{ type: 'Accepted', status: 'False', message: 'two select n1' }];
        at.profiles = [{ metadata: { name: 'a' }, status: { conditions } }];
      },
      /ProxyProfile a: two select n1/,
    ],
  ];
  for (const [title, spoil, message] of problems) {
    it(`finds ${title}`, async () => {
      spoil(cluster);
      await assert.rejects(check(), message);
    });
  }
});

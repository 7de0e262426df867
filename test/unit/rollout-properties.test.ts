import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nodeProxyStateSpec, type NodeProxyState } from '../../src/core/api/node-proxy-state.ts';
import { proxyProfileStatus, type RolloutSpec } from '../../src/core/api/proxy-profile.ts';
import { renderProfile, revisionOf } from '../../src/core/revision.ts';
import { resolveMaxUnavailable } from '../../src/core/rollout-budget.ts';
import { planRollout, type ProfilePlan, type RolloutPlan, type StateAction } from '../../src/core/rollout.ts';
import { node, profile, SimulatedCluster } from './rollout-cluster.ts';

const NAMES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'];
const MODES = ['iptables', 'nftables'];

/** One thing that happens to the cluster between two plans. */
const happening = fc.record({
  kind: fc.constantFrom(
    ...['succeed', 'succeed', 'succeed', 'fail', 'failHard', 'break', 'recover', 'wait', 'pause', 'resume'],
    ...['editMode', 'tune', 'remake', 'remove', 'add', 'deleteState', 'recreateProfile', 'retryFailed'],
  ),
  node: fc.constantFrom(...NAMES),
  number: fc.integer({ min: 1, max: 4 }),
});
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

type Rollout = Pick<RolloutSpec, 'paused' | 'maxFailures' | 'maxUnavailable'>;

function rolloutOf(cluster: SimulatedCluster): Rollout {
  const given = cluster.profile('all').spec.rollout as Partial<Rollout> | undefined;
  return { ...{ paused: false, maxFailures: 1, maxUnavailable: 1 }, ...given };
}

const HAPPENINGS: Record<string, (cluster: SimulatedCluster, one: Happening) => void> = {
  succeed: (cluster, { node: name }) => cluster.succeed(name),
  fail: (cluster, { node: name }) => cluster.fail(name),
  failHard: (cluster, { node: name }) => cluster.fail(name, false),
  break: (cluster, { node: name }) => cluster.setReady(name, 'False'),
  recover: (cluster, { node: name }) => cluster.setReady(name, 'True'),
  wait: (cluster, { number }) => void (cluster.nowMs += number * 100_000),
  pause: (cluster) => cluster.editProfile('all', { rollout: { ...rolloutOf(cluster), paused: true } }),
  resume: (cluster) => cluster.editProfile('all', { rollout: { ...rolloutOf(cluster), paused: false } }),
  editMode: (cluster, { number }) => cluster.editProfile('all', { mode: MODES[number % 2] }),
  tune: (cluster, { number }) =>
    cluster.editProfile('all', { rollout: { ...rolloutOf(cluster), maxUnavailable: number, maxFailures: number } }),
  remake: (cluster, { node: name }) =>
    void cluster.nodes.set(name, { metadata: { ...node(name).metadata, uid: `uid-${cluster.nowMs}` } }),
  remove: (cluster, { node: name }) => {
    cluster.nodes.delete(name);
    cluster.states.delete(name);
  },
  add: (cluster, { node: name }) => void (cluster.nodes.has(name) || cluster.nodes.set(name, node(name))),
  deleteState: (cluster, { node: name }) => void cluster.states.delete(name),
  recreateProfile: (cluster) => {
    const { metadata, spec } = cluster.profile('all');
    cluster.profiles.set('all', profile('all', spec, { uid: `${metadata.uid}+`, generation: 1 }));
  },
  retryFailed: (cluster, { node: name }) => {
    cluster.report(name, (status, { spec }) => {
      if (spec.attempt) status.attempt = { id: spec.attempt.id, phase: 'Program', startedAt: '2026-01-01T00:00:00Z' };
    });
  },
};

function isGrant(action: StateAction): boolean {
  return action.kind === 'Create' || (action.kind === 'ReplaceSpec' && action.purpose === 'Grant');
}

function serves(cluster: SimulatedCluster, name: string): boolean {
  const conditions = cluster.states.get(name)?.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}

/** When the agent said that it failed the revision in its spec. */
function hasToldFailure({ spec, status }: NodeProxyState, grantedAt: string): boolean {
  const told = status?.lastFailure;
  return told?.revision === spec.revision && Date.parse(told.at) >= Date.parse(grantedAt);
}

function hasEnded(state: NodeProxyState, attempt: { id: string; grantedAt: string }): boolean {
  const told = state.status?.attempt?.id === attempt.id ? state.status.attempt.phase : 'Preflight';
  return told === 'RolledBack' || hasToldFailure(state, attempt.grantedAt);
}

function hasSucceeded({ metadata, spec, status }: NodeProxyState): boolean {
  return status?.observedGeneration === metadata.generation && status?.current?.revision === spec.revision;
}

/** What is under way, told from the objects in other words than the planner's. */
function isBusy(cluster: SimulatedCluster, name: string): boolean {
  const state = cluster.states.get(name);
  if (state?.spec.attempt === undefined || state.spec.nodeUID !== cluster.nodes.get(name)?.metadata.uid) return false;
  if (hasEnded(state, state.spec.attempt) || cluster.nowMs >= Date.parse(state.spec.attempt.deadlineAt)) return false;
  return !(hasSucceeded(state) && serves(cluster, name));
}

function checkGrants(cluster: SimulatedCluster, plan: RolloutPlan): void {
  const grants = plan.actions.filter(isGrant).map(({ node: name }) => name);
  if (grants.length === 0) return;
  const { spec } = cluster.profile('all');
  const rollout = rolloutOf(cluster);
  assert.equal(rollout.paused, false, 'granted while paused');
  const max = resolveMaxUnavailable(rollout.maxUnavailable, cluster.nodes.size);
  const names = [...cluster.nodes.keys()];
  const busy = names.filter((name) => isBusy(cluster, name) || grants.includes(name));
  assert.ok(busy.length <= max, `${busy.join()} under way at a maximum of ${max}`);
  const disturbed = grants.filter((name) => serves(cluster, name) && !isBusy(cluster, name));
  const away = names.filter((name) => busy.includes(name) || !serves(cluster, name));
  const isOwnDoing = disturbed.length > 0 && away.length > max;
  const wereAway = names.filter((name) => isBusy(cluster, name) || !serves(cluster, name));
  // A serving node that only missed its deadline counts as unavailable already, so to grant it anew adds nothing.
  const overdue = disturbed.filter((name) => cluster.states.get(name)?.spec.attempt !== undefined);
  assert.ok(
    !isOwnDoing || disturbed.length === overdue.length,
    `${disturbed.join()} disturbed beside ${wereAway.join()}`,
  );
  const revision = revisionOf(renderProfile(spec));
  for (const action of plan.actions.filter(isGrant)) {
    const written =
      action.kind === 'Create' ? action.object.spec : action.kind === 'ReplaceSpec' ? action.spec : undefined;
    assert.equal(written?.revision, revision, 'granted a superseded revision');
    assert.deepEqual(nodeProxyStateSpec.safeParse(written).error?.issues, undefined);
  }
}

/** Progress, or a condition that says what it waits for. */
function checkProgress({ status }: ProfilePlan, wakeAtMs: number | null): void {
  const progressing = status.conditions?.find(({ type }) => type === 'Progressing');
  assert.ok(progressing !== undefined && progressing.message.length > 0);
  if (progressing.reason === 'BatchRunning') assert.ok(status.nodes?.inProgress !== 0 && wakeAtMs !== null);
  if (progressing.reason === 'WaitingForSlot') assert.match(progressing.message, /until n\d/);
}

function checkPlan(cluster: SimulatedCluster, plan: RolloutPlan): void {
  checkGrants(cluster, plan);
  const planned = plan.profiles[0] ?? assert.fail('nothing planned');
  assert.deepEqual(proxyProfileStatus.safeParse(planned.status).error?.issues, undefined);
  const failed = planned.status.nodes?.failed ?? 0;
  if (failed >= rolloutOf(cluster).maxFailures) assert.ok(!plan.actions.some(isGrant), 'granted beyond maxFailures');
  checkProgress(planned, plan.wakeAtMs);
}

/** A cluster before anything happened to it: nothing installed, or every node in iptables mode and asked for nftables. */
function begin({ maxUnavailable, maxFailures, isInstalled }: Scenario): SimulatedCluster {
  const rollout = { maxUnavailable: 10, maxFailures };
  const cluster = new SimulatedCluster(
    [profile('all', { mode: 'iptables', rollout })],
    NAMES.map((name) => node(name)),
  );
  for (let round = 0; isInstalled && round < 2; round++) {
    cluster.reconcile();
    cluster.succeed(...NAMES);
  }
  cluster.editProfile('all', { mode: 'nftables', rollout: { maxUnavailable, maxFailures } });
  return cluster;
}

const scenario = fc.record({
  isInstalled: fc.boolean(),
  maxUnavailable: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom('1%', '34%', '50%', '100%')),
  maxFailures: fc.integer({ min: 1, max: 3 }),
  happenings: fc.array(happening, { maxLength: 60 }),
});

type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

function play(given: Scenario): SimulatedCluster {
  const cluster = begin(given);
  for (const one of given.happenings) {
    const plan = cluster.plan();
    checkPlan(cluster, plan);
    cluster.apply(plan);
    HAPPENINGS[one.kind]?.(cluster, one);
    cluster.nowMs += 1_000;
  }
  return cluster;
}

describe('whatever happens to a rollout', () => {
  it('no plan goes beyond maxUnavailable or maxFailures, while paused, or to a superseded revision', () => {
    fc.assert(
      fc.property(scenario, (given) => void play(given)),
      { numRuns: 300 },
    );
  });

  it('the same objects at the same time give the same plan, in whatever order they come', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const { profiles, nodes, states, nowMs } = play(given);
        const forward = {
          profiles: [...profiles.values()],
          nodes: [...nodes.values()],
          states: [...states.values()],
          nowMs,
        };
        const backward = {
          profiles: forward.profiles.toReversed(),
          nodes: forward.nodes.toReversed(),
          states: forward.states.toReversed(),
          nowMs,
        };
        assert.deepEqual(planRollout(backward), planRollout(forward));
      }),
      { numRuns: 60 },
    );
  });

  it('a plan that was carried out is followed by an empty one, and no event is told twice', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const cluster = play(given);
        cluster.reconcile();
        if (cluster.reconcile().actions.length > 0) cluster.reconcile();
        const again = cluster.plan();
        assert.deepEqual(again.actions, []);
        assert.deepEqual(
          again.profiles.filter(({ isChanged }) => isChanged),
          [],
        );
        assert.deepEqual(
          again.profiles.flatMap(({ events }) => events),
          [],
        );
      }),
      { numRuns: 100 },
    );
  });

  it('a controller that loses half of its writes still goes beyond nothing', () => {
    fc.assert(
      fc.property(scenario, fc.array(fc.boolean(), { minLength: 200, maxLength: 200 }), (given, luck) => {
        const cluster = begin(given);
        let turn = 0;
        for (const one of given.happenings) {
          const plan = cluster.plan();
          checkPlan(cluster, plan);
          cluster.apply({
            ...plan,
            actions: plan.actions.filter(() => luck[turn++ % luck.length]),
            profiles: plan.profiles.filter(() => luck[turn++ % luck.length]),
          });
          HAPPENINGS[one.kind]?.(cluster, one);
          cluster.nowMs += 1_000;
        }
      }),
      { numRuns: 100 },
    );
  });

  it('once agents work again, a new wish leads every node to the revision', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const cluster = play(given);
        cluster.nowMs += 600_000;
        cluster.reconcile();
        cluster.nowMs += 600_000;
        HAPPENINGS['recreateProfile']?.(cluster, { kind: '', node: '', number: 1 });
        cluster.editProfile('all', { rollout: { ...rolloutOf(cluster), paused: false } });
        for (let round = 0; round < 4 * NAMES.length; round++) {
          cluster.reconcile();
          cluster.nowMs += 1_000;
          cluster.succeed(...NAMES);
        }
        cluster.reconcile();
        const expected = cluster.nodes.size > 0 ? 'True/AllNodesReady' : 'False/NotAccepted';
        assert.equal(cluster.condition('all', 'Available'), expected);
      }),
      { numRuns: 100 },
    );
  });
});

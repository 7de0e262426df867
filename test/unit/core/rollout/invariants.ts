import assert from 'node:assert/strict';
import {
  nodeProxyStateSpec,
  type NodeProxyState,
  type NodeProxyStateSpec,
} from '../../../../src/core/api/node-proxy-state.ts';
import { proxyProfileSpec, proxyProfileStatus } from '../../../../src/core/api/proxy-profile.ts';
import { renderProfile, revisionOf } from '../../../../src/core/revision.ts';
import { durationMs } from '../../../../src/core/api/meta.ts';
import { resolveShare } from '../../../../src/core/rollout/budget.ts';
import type { ProfilePlan, RolloutPlan, StateAction } from '../../../../src/core/rollout/rollout.ts';
import type { RolloutNode } from '../../../../src/core/rollout/node.ts';
import type { SimulatedCluster } from './cluster.ts';
import { rolloutOf } from './scenario.ts';

type Attempt = NonNullable<NodeProxyStateSpec['attempt']>;
type Settled = NonNullable<NodeProxyStateSpec['settled']>;

function isGrant(action: StateAction): boolean {
  return action.kind === 'Create' || (action.kind === 'ReplaceSpec' && action.purpose === 'Grant');
}

function writtenSpec(action: StateAction): NodeProxyStateSpec {
  if (action.kind === 'Delete' || action.kind === 'ReportLost') throw new Error('writes no spec');
  return action.kind === 'Create' ? action.object.spec : action.spec;
}

// What follows tells from the objects, in other words than the planner's, what goes on in the cluster.

function isSilent(cluster: SimulatedCluster, name: string): boolean {
  const conditions = cluster.nodes.get(name)?.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === 'Ready' && status !== 'True');
}

/** Its agent is gone, or has not spoken since. */
function isLost(cluster: SimulatedCluster, name: string): boolean {
  const conditions = cluster.states.get(name)?.status?.conditions ?? [];
  return cluster.lostAgents.has(name) || conditions.some(({ reason }) => reason === 'AgentLost');
}

function isSaidLost(cluster: SimulatedCluster, name: string): boolean {
  const { metadata, spec, status } = cluster.states.get(name) ?? {};
  const isOwn = spec?.nodeUID === cluster.nodes.get(metadata?.name ?? '')?.metadata.uid;
  return isOwn && (status?.conditions ?? []).some(({ reason }) => reason === 'AgentLost');
}

/** Its agent cannot read what it programs, so nothing can be proven on it; it serves. */
function isBlind(cluster: SimulatedCluster, name: string): boolean {
  const state = cluster.states.get(name);
  const isOwn = state?.spec.nodeUID === cluster.nodes.get(name)?.metadata.uid;
  return isOwn && (state?.status?.conditions ?? []).some(({ reason }) => reason === 'InputsStale');
}

function serves(cluster: SimulatedCluster, name: string): boolean {
  const state = cluster.states.get(name);
  if (state?.spec.nodeUID !== cluster.nodes.get(name)?.metadata.uid || isSilent(cluster, name)) return false;
  return (state?.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
}

function hasToldFailure({ spec, status }: NodeProxyState, grantedAt: string): boolean {
  const told = status?.lastFailure;
  return told?.revision === spec.revision && Date.parse(told.at) >= Date.parse(grantedAt);
}

function hasEnded(state: NodeProxyState, attempt: Attempt): boolean {
  const told = state.status?.attempt?.id === attempt.id ? state.status.attempt.phase : 'Preflight';
  return told === 'RolledBack' || hasToldFailure(state, attempt.grantedAt);
}

function hasSucceeded({ metadata, spec, status }: NodeProxyState): boolean {
  const isIll = (status?.probes ?? []).some(({ result }) => result === 'Fail');
  return !isIll && status?.observedGeneration === metadata.generation && status?.current?.revision === spec.revision;
}

function isBusy(cluster: SimulatedCluster, name: string): boolean {
  const state = cluster.states.get(name);
  if (state?.spec.attempt === undefined || state.spec.nodeUID !== cluster.nodes.get(name)?.metadata.uid) return false;
  if (hasEnded(state, state.spec.attempt) || cluster.nowMs >= Date.parse(state.spec.attempt.deadlineAt)) return false;
  const isReady = state.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  return !(hasSucceeded(state) && isReady === true);
}

function isDead(cluster: SimulatedCluster, name: string): boolean {
  const ready = cluster.nodes.get(name)?.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready === undefined || ready.status === 'True') return false;
  return cluster.nowMs >= Date.parse(ready.lastTransitionTime ?? '') + 600_000;
}

/** Node names that nobody can count on now. */
function away(cluster: SimulatedCluster): string[] {
  return [...cluster.nodes.keys()].filter(
    (name) => !isDead(cluster, name) && (isBusy(cluster, name) || !serves(cluster, name)),
  );
}

interface Story {
  readonly target: string;
  readonly lastGood: string | undefined;
  /** The nodes are on their way back. */
  readonly isBack: boolean;
}

function storyOf(cluster: SimulatedCluster): Story {
  const all = cluster.profile('all');
  const target = revisionOf(renderProfile(proxyProfileSpec.parse(all.spec)));
  const { lastGood, rejected = [] } = all.status?.revision ?? {};
  const token = rolloutOf(cluster).retryToken;
  const isRejected = rejected.some((each) => each.revision === target && (each.retryToken ?? '') === token);
  return { target, lastGood, isBack: isRejected && lastGood !== undefined };
}

/** Never more than maxUnavailable nodes away by our doing, and never more under way than that. */
function checkSlots(cluster: SimulatedCluster, grants: readonly StateAction[], { isBack }: Story): void {
  const max = resolveShare(rolloutOf(cluster).maxUnavailable, cluster.nodes.size);
  const before = away(cluster);
  const disturbed = grants.map(({ node }) => node).filter((name) => !before.includes(name));
  // A serving node that only missed its deadline, or whose agent begins anew by itself, is away already.
  const fresh = disturbed.filter(
    (name) => cluster.states.get(name)?.spec.attempt === undefined || isOver(cluster, name),
  );
  if (fresh.length > 0) {
    assert.ok(
      before.length + fresh.length <= max,
      `${fresh.join()} disturbed beside ${before.join()} at a maximum of ${max}`,
    );
  }
  if (isBack) return;
  const busy = [...cluster.nodes.keys()].filter(
    (name) => isBusy(cluster, name) || grants.some(({ node }) => node === name),
  );
  assert.ok(grants.length === 0 || busy.length <= max, `${busy.join()} under way at a maximum of ${max}`);
}

/** Its agent touches nothing more. */
function isOver(cluster: SimulatedCluster, name: string): boolean {
  const { spec, status } = cluster.states.get(name) ?? {};
  return spec?.attempt?.id === status?.attempt?.id && status?.attempt?.phase === 'RolledBack';
}

/** Nothing superseded or rejected is granted; new nodes alone may be given the last completed revision in a trial. */
function checkRevisions(grants: readonly StateAction[], { target, lastGood, isBack }: Story): void {
  for (const grant of grants) {
    const spec = writtenSpec(grant);
    assert.deepEqual(nodeProxyStateSpec.safeParse(spec).error?.issues, undefined);
    assert.equal(revisionOf(spec.rendered), spec.revision);
    if (isBack) assert.equal(spec.revision, lastGood, 'granted a rejected revision');
    else if (spec.revision !== target) {
      assert.equal(spec.revision, lastGood, 'granted a superseded revision');
      assert.equal(grant.kind, 'Create', 'took a node back although nothing is rejected');
    }
  }
}

/** What came to run the revision on trial through a batch, and neither failed nor died since. */
function soaking(cluster: SimulatedCluster, target: string): Settled[] {
  const limitMs = durationMs(rolloutOf(cluster).nodeDeadline);
  const { uid } = cluster.profile('all').metadata;
  return [...cluster.states.values()].flatMap((state) => {
    const { spec } = state;
    const isOwn = spec.nodeUID === cluster.nodes.get(spec.nodeName)?.metadata.uid;
    // What ran under another profile is not part of this one's trial.
    const isOfProfile = spec.profile.uid === uid;
    if (!isOwn || !isOfProfile || spec.revision !== target || spec.attempt !== undefined || spec.settled === undefined)
      return [];
    const kubelet = cluster.nodes.get(spec.nodeName)?.status?.conditions;
    const isLost =
      isDead(cluster, spec.nodeName) || hasFallenIll(state, kubelet, spec.settled, cluster.nowMs - limitMs);
    return isLost ? [] : [spec.settled];
  });
}

/** For as long as a node may take in all, so that it counts among the failed ones. */
function hasFallenIll(
  { status }: NodeProxyState,
  kubelet: NonNullable<RolloutNode['status']>['conditions'],
  settled: Settled,
  untilMs: number,
): boolean {
  if ((status?.conditions ?? []).some(({ reason }) => reason === 'InputsStale')) return false;
  const since = [
    ...[...(status?.conditions ?? []), ...(kubelet ?? [])]
      .filter(({ type, status: value }) => type === 'Ready' && value !== 'True')
      .map(({ lastTransitionTime = '' }) => lastTransitionTime),
    ...(status?.probes ?? []).filter(({ result }) => result === 'Fail').map(({ at }) => at),
  ];
  return since.some((at) => untilMs >= Math.max(Date.parse(at), Date.parse(settled.at)));
}

/** A canary that has come to run the revision, whose slot is still to be given back. */
function isCanary(cluster: SimulatedCluster, state: NodeProxyState, target: string): boolean {
  const { attempt, revision, nodeName } = state.spec;
  if (attempt?.batch !== 0 || revision !== target) return false;
  return hasSucceeded(state) && serves(cluster, nodeName);
}

/** A percentage of few nodes is one node at least. */
function canaryOf(cluster: SimulatedCluster): number {
  const { count } = rolloutOf(cluster).canary;
  if (typeof count === 'number') return count;
  const { matched = 0 } = cluster.profile('all').status?.nodes ?? {};
  return Math.max(1, Math.trunc((Math.max(matched, cluster.nodes.size) * Number(count.slice(0, -1))) / 100));
}

/** What changed last has soaked for as long as it should, and batches come after as many canary nodes as there should be. */
function checkSoak(cluster: SimulatedCluster, next: number | undefined): void {
  const { canary, batchSoak } = rolloutOf(cluster);
  const { target } = storyOf(cluster);
  const settled = soaking(cluster, target).filter(({ batch }) => batch !== undefined);
  const newest = Math.max(...settled.map(({ batch = 0 }) => batch));
  const last = settled.filter(({ batch }) => batch === newest);
  // While canary nodes are still to come, or to be replaced, those that are there need not soak.
  if (next === 0) return assert.ok(settled.length < canaryOf(cluster), 'a canary larger than it should be');
  const hasCanary = last.length > 0 || [...cluster.states.values()].some((state) => isCanary(cluster, state, target));
  assert.ok(hasCanary || next !== 1 || canary.count === 0, 'a first batch without a canary that is well');
  if (last.length === 0) return;
  const soakMs = durationMs(newest === 0 ? canary.soak : batchSoak);
  const sinceMs = Math.max(...last.map(({ at }) => Date.parse(at)));
  assert.ok(cluster.nowMs >= sinceMs + soakMs, `a batch after ${cluster.nowMs - sinceMs} ms of soak`);
}

function checkTrial(cluster: SimulatedCluster, batch: readonly StateAction[], planned: ProfilePlan): void {
  if (batch.length === 0) return;
  const rollout = rolloutOf(cluster);
  const minute = new Date(cluster.nowMs).getUTCHours() * 60;
  assert.ok(rollout.windows.length === 0 || minute < 60, 'started a batch outside of its window');
  assert.ok((planned.status.nodes?.failed ?? 0) < rollout.maxFailures, 'granted beyond maxFailures');
  const specs = batch.map((action) => writtenSpec(action));
  checkSoak(cluster, specs[0]?.attempt?.batch);
  assert.equal(new Set(specs.map(({ attempt }) => attempt?.batch)).size, 1, 'two batches in one');
  const zones = batch.map(({ node }) => cluster.nodes.get(node)?.metadata.labels?.['topology.kubernetes.io/zone']);
  const isCanary = specs[0]?.attempt?.batch === 0;
  assert.ok(isCanary || new Set(zones).size === 1, 'a batch over two zones');
  const started = [...cluster.states.values()].filter((state) => isBusy(cluster, state.metadata.name));
  assert.ok(
    started.every(({ spec }) => spec.attempt?.batch === undefined),
    'a batch beside a batch',
  );
}

/** Its agent is idle, it can be reached, it runs the rejected revision, and it does not serve. */
function isInTrouble(cluster: SimulatedCluster, name: string, rejected: string): boolean {
  const state = cluster.states.get(name);
  const isOwn = state?.spec.nodeUID === cluster.nodes.get(name)?.metadata.uid;
  if (!isOwn || state?.spec.revision !== rejected || isSilent(cluster, name) || isLost(cluster, name)) return false;
  return !serves(cluster, name) && !isBusy(cluster, name) && !isBlind(cluster, name);
}

/** A node in trouble on the rejected revision goes back at once, whatever the slots say. */
function checkCure(
  cluster: SimulatedCluster,
  grants: readonly StateAction[],
  { isBack, target, lastGood }: Story,
): void {
  const scope = cluster.profile('all').status?.revision?.rejected?.[0]?.scope;
  const { paused, dryRun } = rolloutOf(cluster);
  if (!isBack || scope !== 'All' || target === lastGood || paused || dryRun) return;
  const granted = new Set(grants.map(({ node }) => node));
  for (const name of cluster.nodes.keys()) {
    const isLeft = isInTrouble(cluster, name, target) && !granted.has(name);
    assert.ok(!isLeft, `${name} is in trouble on the rejected revision and stays there`);
  }
}

const WAITS_FOR_TIME = ['Soaking', 'BatchRunning', 'CanaryRunning'];

/** Progress, or a condition that says what it waits for. */
function checkProgress({ status }: ProfilePlan, plan: RolloutPlan): void {
  const progressing = status.conditions?.find(({ type }) => type === 'Progressing');
  assert.ok(progressing !== undefined && progressing.message.length > 10, 'says nothing');
  const isBusy = WAITS_FOR_TIME.includes(progressing.reason) && plan.actions.length === 0;
  if (isBusy) assert.notEqual(plan.wakeAtMs, null, `${progressing.reason} for ever`);
  if (progressing.reason === 'BatchRunning') assert.ok((status.nodes?.inProgress ?? 0) > 0);
  if (progressing.reason === 'WaitingForSlot') assert.match(progressing.message, /until n\d/);
  if (progressing.reason === 'Complete') assert.equal(status.nodes?.waiting, 0);
}

/** Holds one plan to everything that a plan must never do. */
export function checkPlan(cluster: SimulatedCluster, plan: RolloutPlan): void {
  const planned = plan.profiles[0] ?? assert.fail('nothing planned');
  assert.deepEqual(proxyProfileStatus.safeParse(planned.status).error?.issues, undefined);
  const grants = plan.actions.filter(isGrant);
  const mute = grants.filter(({ node }) => cluster.states.has(node) && isSaidLost(cluster, node));
  assert.deepEqual(mute, [], 'granted a node whose agent is lost');
  const story = storyOf(cluster);
  const unseen = grants.filter(({ node }) => isBlind(cluster, node));
  assert.ok(story.isBack || unseen.length === 0, 'granted a node whose agent cannot read');
  const { paused, dryRun } = rolloutOf(cluster);
  assert.ok(grants.length === 0 || !(paused || dryRun), 'granted while paused');
  checkSlots(cluster, grants, story);
  checkRevisions(grants, story);
  checkTrial(
    cluster,
    grants.filter((action) => writtenSpec(action).attempt?.batch !== undefined),
    planned,
  );
  checkCure(cluster, grants, story);
  checkProgress(planned, plan);
}

const attemptOf = ({ spec: { nodeName, attempt } }: NodeProxyState) => `${nodeName} ${attempt?.id}`;

export function attempts(cluster: SimulatedCluster): ReadonlySet<string> {
  return new Set([...cluster.states.values()].map(attemptOf));
}

/** What has just begun in a batch began in the name of what the status says; `before` has the attempts that there were. */
export function checkAnnounced(cluster: SimulatedCluster, before: ReadonlySet<string>): void {
  const begun = [...cluster.states.values()].filter((state) => !before.has(attemptOf(state)));
  for (const { spec } of begun.filter((state) => state.spec.attempt?.batch !== undefined)) {
    const { revision } = cluster.profile('all').status ?? {};
    assert.equal(revision?.target, spec.revision, 'moved a node for a revision that the status does not name');
    assert.match(
      cluster.condition('all', 'Progressing'),
      /^True/,
      'moved a node while the status says that none moves',
    );
  }
}

import fc from 'fast-check';
import type { RolloutSpec } from '../../../../src/core/api/rollout-spec.ts';
import { proxyProfileSpec } from '../../../../src/core/api/proxy-profile.ts';
import { node, profile, SimulatedCluster } from './cluster.ts';

export const NAMES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'];
const MODES = ['iptables', 'nftables'] as const;
const ZONES = ['east', 'west'];

/** One thing that happens to the cluster between two plans. */
const happening = fc.record({
  kind: fc.constantFrom(
    ...[
      'succeed',
      'succeed',
      'succeed',
      'succeedAll',
      'fail',
      'failHard',
      'break',
      'recover',
      'wait',
      'pause',
      'resume',
    ],
    ...[
      'editMode',
      'tune',
      'remake',
      'remove',
      'add',
      'deleteState',
      'recreateProfile',
      'retryFailed',
      'silent',
      'awake',
    ],
    ...['jump', 'token', 'approve', 'cannotRun', 'canRun', 'probeFails', 'probePasses', 'dryRun'],
    ...['agentLost', 'agentBack', 'refuse', 'blind'],
  ),
  node: fc.constantFrom(...NAMES),
  number: fc.integer({ min: 1, max: 4 }),
});
export type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

export const scenario = fc.record({
  isInstalled: fc.boolean(),
  maxUnavailable: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom('1%', '34%', '50%', '100%')),
  maxFailures: fc.integer({ min: 1, max: 3 }),
  canary: fc.record({
    count: fc.oneof(fc.integer({ min: 0, max: 2 }), fc.constantFrom('1%', '40%', '100%')),
    soak: fc.constantFrom('0s', '3s', '10m'),
  }),
  approval: fc.constantFrom('Auto', 'Auto', 'Manual'),
  batchSoak: fc.constantFrom('0s', '0s', '5s'),
  fleet: fc.constantFrom('RollbackAll', 'RollbackAll', 'RollbackBatch', 'Pause'),
  newNodes: fc.constantFrom('Auto', 'LastGood', 'Target'),
  hasWindow: fc.boolean(),
  happenings: fc.array(happening, { maxLength: 60 }),
});
export type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

/** The rollout of the profile with its defaults. */
export function rolloutOf(cluster: SimulatedCluster): RolloutSpec {
  return proxyProfileSpec.parse(cluster.profile('all').spec).rollout;
}

function tune(cluster: SimulatedCluster, rollout: object): void {
  cluster.editProfile('all', { rollout: { ...rolloutOf(cluster), ...rollout } });
}

function zoned(name: string, uid = `uid-${name}`) {
  const zone = ZONES[Number(name.slice(1)) % 2] ?? '';
  const { metadata } = node(name, { labels: { 'topology.kubernetes.io/zone': zone } });
  return { metadata: { ...metadata, uid } };
}

/** The kubelet of a node says something, or nothing any more. */
function setKubelet(cluster: SimulatedCluster, name: string, status: string): void {
  const old = cluster.nodes.get(name);
  if (old === undefined) return;
  const lastTransitionTime = new Date(cluster.nowMs).toISOString();
  cluster.nodes.set(name, { ...old, status: { conditions: [{ type: 'Ready', status, lastTransitionTime }] } });
}

function setProbe(cluster: SimulatedCluster, name: string, result: 'Pass' | 'Fail'): void {
  cluster.report(name, (status) => {
    status.probes = [{ name: 'ClusterDNS', result, at: new Date(cluster.nowMs).toISOString() }];
  });
}

const HAPPENINGS: Record<string, (cluster: SimulatedCluster, one: Happening) => void> = {
  succeed: (cluster, { node: name }) => cluster.succeed(name),
  succeedAll: (cluster) => cluster.succeed(...NAMES),
  fail: (cluster, { node: name }) => cluster.fail(name),
  refuse: (cluster, { node: name }) => cluster.refuse(name),
  failHard: (cluster, { node: name }) => cluster.fail(name, false),
  break: (cluster, { node: name }) => cluster.setReady(name, 'False'),
  recover: (cluster, { node: name }) => cluster.setReady(name, 'True'),
  blind: (cluster, { node: name }) => cluster.setBlind(name),
  wait: (cluster, { number }) => void (cluster.nowMs += number * 100_000),
  jump: (cluster, { number }) => void (cluster.nowMs += (number - 2) * 40 * 60_000),
  pause: (cluster) => tune(cluster, { paused: true }),
  resume: (cluster) => tune(cluster, { paused: false, dryRun: false }),
  dryRun: (cluster) => tune(cluster, { dryRun: true }),
  token: (cluster, { number }) => tune(cluster, { retryToken: `t${number}` }),
  editMode: (cluster, { number }) => cluster.editProfile('all', { mode: MODES[number % 2] }),
  tune: (cluster, { number }) => tune(cluster, { maxUnavailable: number, maxFailures: number }),
  approve: (cluster) => {
    const all = cluster.profile('all');
    const approved = all.status?.revision?.target ?? '';
    const annotations = { 'switchyard.dev/approved-revision': approved };
    cluster.profiles.set('all', { ...all, metadata: { ...all.metadata, annotations } });
  },
  remake: (cluster, { node: name }) => void cluster.nodes.set(name, zoned(name, `uid-${cluster.nowMs}`)),
  remove: (cluster, { node: name }) => {
    cluster.nodes.delete(name);
    cluster.states.delete(name);
  },
  add: (cluster, { node: name }) => void (cluster.nodes.has(name) || cluster.nodes.set(name, zoned(name))),
  deleteState: (cluster, { node: name }) => void cluster.states.delete(name),
  silent: (cluster, { node: name }) => setKubelet(cluster, name, 'Unknown'),
  awake: (cluster, { node: name }) => {
    setKubelet(cluster, name, 'True');
    cluster.lostAgents.delete(name);
    // An agent that is back writes over what was said of it.
    const isSaidLost = cluster.states.get(name)?.status?.conditions?.some(({ reason }) => reason === 'AgentLost');
    if (isSaidLost === true) cluster.setReady(name, 'True', cluster.nowMs);
    HAPPENINGS['canRun']?.(cluster, { kind: '', node: name, number: 1 });
    setProbe(cluster, name, 'Pass');
  },
  cannotRun: (cluster, { node: name }) =>
    cluster.report(name, (status) => {
      status.preflight = { kernel: '6.1', modes: ['iptables'], missing: ['the kernel module nf_tables is missing'] };
    }),
  canRun: (cluster, { node: name }) =>
    cluster.report(name, (status) => {
      status.preflight = { kernel: '6.1', modes: ['iptables', 'nftables'], missing: [] };
    }),
  probeFails: (cluster, { node: name }) => setProbe(cluster, name, 'Fail'),
  probePasses: (cluster, { node: name }) => setProbe(cluster, name, 'Pass'),
  agentLost: (cluster, { node: name }) => void cluster.lostAgents.add(name),
  agentBack: (cluster, { node: name }) => {
    cluster.lostAgents.delete(name);
    cluster.setReady(name, 'True', cluster.nowMs);
  },
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

export function happen(cluster: SimulatedCluster, one: Happening): void {
  HAPPENINGS[one.kind]?.(cluster, one);
}

/** A cluster before anything happened to it: nothing installed, or every node in iptables mode and asked for nftables. */
export function begin(given: Scenario): SimulatedCluster {
  const quick = { canary: { count: 0 }, maxUnavailable: 10 };
  const cluster = new SimulatedCluster(
    [profile('all', { mode: 'iptables', rollout: quick })],
    NAMES.map((name) => zoned(name)),
  );
  for (let round = 0; given.isInstalled && round < 4; round++) {
    cluster.reconcile();
    cluster.succeed(...NAMES);
  }
  const { maxUnavailable, maxFailures, batchSoak, newNodes, approval, fleet } = given;
  // The story begins at midnight; jumps and waits lead in and out.
  const windows = given.hasWindow ? [{ start: '00:00', end: '01:00' }] : [];
  const canary = { ...given.canary, approval };
  const rollout = { maxUnavailable, maxFailures, batchSoak, newNodes, canary, onFailure: { fleet }, windows };
  cluster.editProfile('all', { mode: 'nftables', rollout });
  return cluster;
}

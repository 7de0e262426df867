import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { proxyProfileStatus, type ProxyProfile } from '../../../../src/core/api/proxy-profile.ts';
import { resolveShare } from '../../../../src/core/rollout/budget.ts';
import type { RolloutNode } from '../../../../src/core/rollout/node.ts';
import { node, profile, SimulatedCluster } from './cluster.ts';

const MINUTE = 60_000;

function three(spec: object = {}): SimulatedCluster {
  return new SimulatedCluster([profile('all', spec)], [node('n1'), node('n2'), node('n3')]);
}

/** A cluster whose three nodes run iptables, with a profile that asks for nftables since. */
function switching(rollout: object = {}): SimulatedCluster {
  const cluster = three({ mode: 'iptables', rollout: { maxUnavailable: 3 } });
  cluster.reconcile();
  cluster.succeed('n1', 'n2', 'n3');
  cluster.reconcile();
  cluster.succeed('n1', 'n2', 'n3');
  cluster.reconcile();
  cluster.events.length = 0;
  cluster.editProfile('all', { mode: 'nftables', rollout });
  return cluster;
}

describe('maxUnavailable', () => {
  const cases: [given: number | string, matched: number, expected: number][] = [
    [2, 10, 2],
    ['25%', 10, 2],
    ['1%', 10, 1],
    ['100%', 7, 7],
    ['10%', 0, 1],
  ];
  for (const [given, matched, expected] of cases) {
    it(`${given} of ${matched} nodes is ${expected}`, () => assert.equal(resolveShare(given, matched), expected));
  }
});

describe('a rollout', () => {
  it('brings nodes without a state to the revision in batches', () => {
    const cluster = three();
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), { n1: 'nftables*' });
    assert.equal(cluster.condition('all', 'Progressing'), 'True/BatchRunning');
    assert.equal(cluster.condition('all', 'Available'), 'False/RolloutIncomplete');
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), { n1: 'nftables*' });
    cluster.succeed('n1');
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), { n1: 'nftables', n2: 'nftables*' });
  });

  it('names the owner, the node and the profile in the state of a node', () => {
    const cluster = three();
    cluster.reconcile();
    const { metadata, spec } = cluster.states.get('n1') ?? assert.fail('no state');
    assert.deepEqual(metadata.ownerReferences, [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'uid-n1' }]);
    assert.equal(spec.nodeUID, 'uid-n1');
    assert.deepEqual(spec.profile, { name: 'all', uid: 'uid-all', generation: 1 });
    assert.equal(spec.rendered.mode, 'nftables');
    assert.equal(spec.attempt?.deadlineAt, '2026-01-01T00:05:00Z');
    assert.match(spec.attempt?.id ?? '', new RegExp(`^${spec.revision}-[0-9]+$`));
  });

  it('is complete and available when every node runs the revision, and stays so when slots are given back', () => {
    const cluster = switching({ maxUnavailable: 3 });
    assert.equal(cluster.condition('all', 'Available'), 'True/AllNodesReady');
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Available'), 'False/RolloutIncomplete');
    cluster.succeed('n1', 'n2', 'n3');
    for (let round = 0; round < 3; round++) {
      cluster.reconcile();
      assert.equal(cluster.condition('all', 'Progressing'), 'False/Complete');
      assert.equal(cluster.condition('all', 'Available'), 'True/AllNodesReady');
    }
    assert.deepEqual(cluster.events, [
      'RevisionAccepted',
      'BatchStarted',
      'RolloutStarted',
      'BatchPassed',
      'RolloutCompleted',
    ]);
    const { revision, nodes, observedGeneration } = cluster.profile('all').status ?? {};
    assert.equal(revision?.lastGood, revision?.target);
    assert.equal(observedGeneration, 2);
    assert.deepEqual([nodes?.matched, nodes?.updated, nodes?.ready, nodes?.inProgress], [3, 3, 3, 0]);
  });

  it('writes twice per node at most: the grant and the end of it', () => {
    const cluster = switching();
    let writes = 0;
    for (let round = 0; round < 10; round++) {
      writes += cluster.reconcile().actions.length;
      cluster.succeed('n1', 'n2', 'n3');
    }
    assert.equal(writes, 6);
    assert.deepEqual(cluster.plan().actions, []);
  });

  it('goes zone by zone, then by age, then by name', () => {
    const labels = (zone: string) => ({ 'topology.kubernetes.io/zone': zone });
    const nodes = [
      node('a', { labels: labels('west') }),
      node('b', { labels: labels('east'), born: '2025-05-01T00:00:00Z' }),
      node('d', { labels: labels('east'), born: '2025-01-01T00:00:00Z' }),
      node('c', { labels: labels('east'), born: '2025-05-01T00:00:00Z' }),
    ];
    const cluster = new SimulatedCluster([profile('all', {})], nodes);
    const order: string[] = [];
    for (let round = 0; round < 8; round++) {
      order.push(...cluster.reconcile().actions.flatMap(({ kind, node: name }) => (kind === 'Create' ? name : [])));
      cluster.succeed(...order);
    }
    assert.deepEqual(order, ['d', 'b', 'c', 'a']);
  });

  it('starts nothing while paused; what is under way goes on', () => {
    const cluster = switching();
    cluster.reconcile();
    cluster.editProfile('all', { rollout: { paused: true } });
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'False/Paused');
    cluster.succeed('n1');
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), { n1: 'nftables', n2: 'iptables', n3: 'iptables' });
    cluster.editProfile('all', { rollout: { paused: false } });
    cluster.reconcile();
    assert.equal(cluster.granted()['n2'], 'nftables*');
    assert.deepEqual(
      cluster.events.filter((reason) => /Paused|Resumed/.test(reason)),
      ['RolloutPaused', 'RolloutResumed'],
    );
  });

  it('is superseded by another revision: the node under way ends first, then follows', () => {
    const cluster = switching();
    cluster.reconcile();
    cluster.editProfile('all', { mode: 'iptables' });
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), { n1: 'nftables*', n2: 'iptables', n3: 'iptables' });
    assert.ok(cluster.events.includes('RolloutSuperseded'));
    cluster.succeed('n1');
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), { n1: 'iptables*', n2: 'iptables', n3: 'iptables' });
  });

  it('is no new one when only its knobs change', () => {
    const cluster = switching();
    cluster.reconcile();
    const before = cluster.granted();
    cluster.editProfile('all', { rollout: { maxUnavailable: 1, nodeDeadline: '9m' } });
    assert.deepEqual(cluster.reconcile().actions, []);
    assert.deepEqual(cluster.granted(), before);
  });
});

describe('a node that fails', () => {
  it('spends the failure budget, is named, and is not tried again', () => {
    const cluster = switching({ maxUnavailable: 1, onFailure: { fleet: 'Pause' } });
    cluster.reconcile();
    cluster.fail('n1');
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Degraded'), 'True/FailureBudgetSpent');
    assert.equal(cluster.condition('all', 'Progressing'), 'False/FailureBudgetSpent');
    assert.deepEqual(cluster.plan().actions, []);
    assert.deepEqual(cluster.profile('all').status?.problems, [
      { node: 'n1', reason: 'VerifyFailed', message: 'map is short of 3 elements' },
    ]);
    cluster.reconcile();
    assert.equal(cluster.events.filter((reason) => reason === 'FailureBudgetSpent').length, 1);
    assert.equal(cluster.events.filter((reason) => reason === 'NodeFailed').length, 1);
  });

  it('leaves the others to go on while the budget lasts', () => {
    const cluster = switching({ maxFailures: 2 });
    cluster.reconcile();
    cluster.fail('n1');
    cluster.reconcile();
    assert.equal(cluster.granted()['n2'], 'nftables*');
    assert.equal(cluster.condition('all', 'Degraded'), 'True/NodeFailed');
    for (const name of ['n2', 'n3']) {
      cluster.succeed(name);
      cluster.reconcile();
    }
    assert.equal(cluster.condition('all', 'Progressing'), 'False/NodeFailed');
    assert.equal(cluster.condition('all', 'Available'), 'False/RolloutIncomplete');
  });

  it('fails by its deadline, holds a place until its agent speaks, and is done when it comes late', () => {
    const cluster = switching({ maxFailures: 2 });
    const { wakeAtMs } = cluster.reconcile();
    assert.equal(wakeAtMs, cluster.nowMs + 5 * MINUTE);
    cluster.nowMs += 5 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.profile('all').status?.problems?.[0]?.reason, 'NoAnswer');
    assert.deepEqual(cluster.granted(), { n1: 'nftables*', n2: 'iptables', n3: 'iptables' });
    assert.equal(cluster.condition('all', 'Progressing'), 'True/WaitingForSlot');
    cluster.succeed('n1');
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), { n1: 'nftables', n2: 'nftables*', n3: 'iptables' });
    assert.equal(cluster.condition('all', 'Degraded'), 'False/AsExpected');
  });

  it('is cured by the next revision although it fills maxUnavailable itself', () => {
    const cluster = switching();
    cluster.reconcile();
    cluster.fail('n1', false);
    cluster.reconcile();
    cluster.editProfile('all', { mode: 'iptables' });
    cluster.reconcile();
    assert.equal(cluster.granted()['n1'], 'iptables*');
  });

  it('is tried again when its state is deleted, under a new attempt id', () => {
    const cluster = switching();
    cluster.reconcile();
    const first = cluster.states.get('n1')?.spec.attempt?.id;
    cluster.fail('n1');
    cluster.reconcile();
    cluster.nowMs += MINUTE;
    cluster.states.delete('n1');
    cluster.reconcile();
    const second = cluster.states.get('n1')?.spec.attempt?.id;
    assert.ok(second !== undefined && second !== first);
  });

  it('once done, does not fail when it breaks later', () => {
    const cluster = switching({ maxUnavailable: 3 });
    cluster.reconcile();
    cluster.succeed('n1', 'n2', 'n3');
    cluster.reconcile();
    cluster.nowMs += 60 * MINUTE;
    cluster.setReady('n2', 'False');
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Degraded'), 'False/AsExpected');
    assert.equal(cluster.condition('all', 'Progressing'), 'False/Complete');
    assert.equal(cluster.condition('all', 'Available'), 'False/NodesNotReady');
    assert.deepEqual(
      cluster.profile('all').status?.problems?.map(({ reason }) => reason),
      ['StaleProgramming'],
    );
  });
});

describe('the slots', () => {
  it('are taken by a node that is not Ready for another cause', () => {
    const cluster = switching();
    cluster.reconcile();
    cluster.succeed('n1');
    cluster.setReady('n1', 'False');
    cluster.reconcile();
    assert.deepEqual(cluster.granted()['n2'], 'iptables');
  });

  it('are taken by a node whose kubelet is silent, which is granted nothing itself', () => {
    const cluster = switching();
    const silent: RolloutNode = { ...node('n2'), status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } };
    cluster.nodes.set('n2', silent);
    assert.deepEqual(cluster.reconcile().actions, []);
    assert.equal(cluster.condition('all', 'Progressing'), 'True/WaitingForSlot');
    const message =
      cluster.profile('all').status?.conditions?.find(({ type }) => type === 'Progressing')?.message ?? '';
    assert.match(message, /n2 is Ready/);
  });
});

describe('nodes and profiles', () => {
  it('a node made anew under an old name has its state replaced', () => {
    const cluster = switching();
    cluster.editProfile('all', { mode: 'iptables' });
    const anew = { metadata: { ...node('n2').metadata, uid: 'other' } };
    cluster.nodes.set('n2', anew);
    assert.deepEqual(
      cluster.reconcile().actions.map(({ kind, node: name }) => `${kind} ${name}`),
      ['Delete n2'],
    );
    assert.deepEqual(
      cluster.reconcile().actions.map(({ kind, node: name }) => `${kind} ${name}`),
      ['Create n2'],
    );
    assert.equal(cluster.states.get('n2')?.spec.nodeUID, 'other');
  });

  it('a deleted profile leaves the states as they are, and a new one takes them over without a grant', () => {
    const cluster = switching({ maxUnavailable: 3 });
    cluster.reconcile();
    cluster.succeed('n1', 'n2', 'n3');
    cluster.reconcile();
    cluster.profiles.clear();
    assert.deepEqual(cluster.reconcile().actions, []);
    cluster.profiles.set('next', profile('next', {}));
    const plan = cluster.reconcile();
    assert.deepEqual([...new Set(plan.actions.map((action) => 'purpose' in action && action.purpose))], ['Adopt']);
    assert.equal(cluster.states.get('n1')?.spec.profile.name, 'next');
    assert.deepEqual(cluster.plan().actions, []);
  });

  it('the profile of higher priority wins a node', () => {
    const high = profile('edge', { mode: 'iptables', priority: 5, nodeSelector: { matchLabels: { edge: 'yes' } } });
    const nodes = [node('n1', { labels: { edge: 'yes' } }), node('n2')];
    const cluster = new SimulatedCluster([profile('all', {}), high], nodes);
    cluster.reconcile();
    assert.deepEqual(cluster.granted(), { n1: 'iptables*', n2: 'nftables*' });
    assert.equal(cluster.profile('all').status?.nodes?.matched, 1);
  });

  it('a tie stops both profiles, and both name the node', () => {
    const cluster = switching();
    cluster.profiles.set(
      'twin',
      profile('twin', { nodeSelector: { matchExpressions: [{ key: 'x', operator: 'DoesNotExist' }] } }),
    );
    assert.deepEqual(cluster.reconcile().actions, []);
    for (const name of ['all', 'twin']) {
      assert.equal(cluster.condition(name, 'Accepted'), 'False/SelectorConflict');
      assert.equal(cluster.condition(name, 'Available'), 'False/NotAccepted');
      assert.equal(cluster.profile(name).status?.problems?.[0]?.reason, 'SelectorConflict');
    }
    cluster.profiles.delete('twin');
    assert.equal(cluster.reconcile().actions.length, 1);
  });

  it('an invalid spec changes nothing, lists all its problems, and keeps its nodes from profiles of lower priority', () => {
    const cluster = switching();
    cluster.profiles.set('low', profile('low', { mode: 'nftables', priority: -1 }));
    cluster.editProfile('all', { mode: 'ebpf', nodeSelector: { matchLabels: { '-bad': 'x' } } });
    assert.deepEqual(cluster.reconcile().actions, []);
    assert.equal(cluster.condition('all', 'Accepted'), 'False/InvalidSpec');
    const message = cluster.profile('all').status?.conditions?.[0]?.message ?? '';
    assert.match(message, /spec\.mode.*spec\.nodeSelector\.matchLabels/);
    assert.equal(cluster.condition('low', 'Accepted'), 'False/NoMatchingNodes');
  });

  const windows: [name: string, node: RolloutNode][] = [
    ['its label', node('w', { labels: { 'kubernetes.io/os': 'windows' } })],
    ['its nodeInfo', { ...node('w'), status: { nodeInfo: { operatingSystem: 'windows' } } }],
  ];
  for (const [how, given] of windows) {
    it(`a Windows node, known by ${how}, is skipped`, () => {
      const cluster = new SimulatedCluster([profile('all', {})], [given, node('n1')]);
      cluster.reconcile();
      assert.deepEqual(cluster.granted(), { n1: 'nftables*' });
      assert.equal(cluster.profile('all').status?.nodes?.skipped, 1);
      assert.equal(cluster.profile('all').status?.problems?.[0]?.node, 'w');
      assert.ok(cluster.events.includes('NodeSkipped'));
    });
  }

  it('a status fits its schema, however long the messages of nodes are', () => {
    const cluster = switching({ maxFailures: 50 });
    cluster.setReady('n1', 'False');
    cluster.report('n1', (status) => {
      status.conditions = (status.conditions ?? []).map((one) => ({ ...one, message: 'x'.repeat(30_000) }));
    });
    cluster.reconcile();
    cluster.editProfile('all', { rollout: { paused: true } });
    const status = cluster.plan().profiles[0]?.status;
    assert.deepEqual(proxyProfileStatus.safeParse(status).error?.issues, undefined);
  });

  it('lastTransitionTime moves only with the status', () => {
    const cluster = switching();
    cluster.reconcile();
    const time = (of: ProxyProfile) =>
      of.status?.conditions?.find(({ type }) => type === 'Progressing')?.lastTransitionTime;
    const first = time(cluster.profile('all'));
    cluster.nowMs += MINUTE;
    cluster.succeed('n1');
    cluster.reconcile();
    assert.equal(time(cluster.profile('all')), first);
  });
});

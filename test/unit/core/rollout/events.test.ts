import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { profile, type SimulatedCluster } from './cluster.ts';
import { installed, MINUTE, settle } from './stories.ts';

const NODES = ['n1', 'n2', 'n3', 'n4'];

/** A controller that grants what it may before it tells, and ends then. */
function grantOnly(cluster: SimulatedCluster): void {
  cluster.apply({ ...cluster.plan(), profiles: [] });
}

describe('the events of a rollout', () => {
  const expected = [
    'RevisionAccepted',
    ...['CanaryStarted', 'CanaryPassed', 'BatchStarted', 'BatchPassed', 'BatchStarted', 'BatchPassed'],
    'RolloutStarted',
    'RolloutCompleted',
  ].sort();

  const lives = { never: [], first: [0], second: [1], 'first two': [0, 1], 'first eight': [0, 1, 2, 3, 4, 5, 6, 7] };
  for (const [which, unseen] of Object.entries<number[]>(lives)) {
    it(`tell of every step once when controllers end before they tell: ${which}`, () => {
      const cluster = installed(4, { canary: { soak: '0s' }, maxUnavailable: 2, batchSoak: '0s' });
      for (let round = 0; round < 16; round++) {
        if (unseen.includes(round)) grantOnly(cluster);
        else cluster.reconcile();
        cluster.succeed(...NODES);
      }
      assert.equal(cluster.condition('all', 'Progressing'), 'False/Complete');
      assert.deepEqual(cluster.events.toSorted(), expected);
    });
  }

  it('come before the first node that moves, and before the first one after a pause', () => {
    const cluster = installed(4, { canary: { count: 0 } });
    grantOnly(cluster);
    assert.deepEqual(cluster.moved(), {});
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*' });
    cluster.editProfile('all', { rollout: { canary: { count: 0 }, paused: true } });
    settle(cluster, 'n1');
    cluster.editProfile('all', { rollout: { canary: { count: 0 } } });
    grantOnly(cluster);
    assert.deepEqual(cluster.moved(), { n1: 'nftables' });
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables*' });
    assert.deepEqual(cluster.events.slice(-2), ['RolloutResumed', 'BatchStarted'].toSorted());
  });

  it('say which revision a node failed, also on the way back', () => {
    const told: string[] = [];
    const cluster = installed(2, { canary: { count: 0 } });
    const reconcile = () => {
      const plan = cluster.reconcile();
      for (const { reason, message } of plan.profiles[0]?.events ?? []) if (reason === 'NodeFailed') told.push(message);
    };
    const { target, lastGood } = cluster.plan().profiles[0]?.status.revision ?? {};
    reconcile();
    cluster.nowMs += 6 * MINUTE;
    for (let round = 0; round < 3; round += 1) reconcile();
    assert.deepEqual(cluster.moved(), {});
    cluster.nowMs += 6 * MINUTE;
    reconcile();
    assert.match(told[0] ?? '', new RegExp(`^Node n1 failed ${target}: NoAnswer`));
    assert.match(told[1] ?? '', new RegExp(`^Node n1 could not go back to ${lastGood}: NoAnswer`));
    assert.equal(told.length, 2);
  });

  it('name once the nodes whose agents cannot read', () => {
    const cluster = installed(2, { canary: { soak: '1h' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.setBlind('n1');
    for (let round = 0; round < 3; round += 1) cluster.reconcile();
    assert.equal(cluster.events.filter((reason) => reason === 'InputsStale').length, 1);
  });

  it('tell of a rejected revision that is tried again, also while its nodes are still going back', () => {
    const cluster = installed(3, { canary: { soak: '0s' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.fail('n2');
    cluster.reconcile();
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'True/RollingBack');
    cluster.editProfile('all', { rollout: { canary: { soak: '0s' }, retryToken: 'again' } });
    const told = cluster.events.length;
    cluster.reconcile();
    assert.ok(cluster.events.slice(told).includes('RolloutStarted'));
  });

  for (const knob of ['paused', 'dryRun']) {
    it(`tell of a start, not of going on, after ${knob} before the first node`, () => {
      const cluster = installed(2, { canary: { count: 0 }, [knob]: true });
      cluster.reconcile();
      assert.deepEqual(cluster.events, ['RevisionAccepted', 'RolloutPaused']);
      cluster.editProfile('all', { rollout: { canary: { count: 0 } } });
      cluster.reconcile();
      assert.deepEqual(cluster.events.slice(2), ['BatchStarted', 'RolloutStarted']);
    });
  }

  it('tell that a profile is accepted once nobody else wants its nodes, and nothing else of one that had ended', () => {
    const cluster = installed(2, { canary: { count: 0 }, maxUnavailable: 2 });
    cluster.reconcile();
    settle(cluster, 'n1', 'n2');
    assert.equal(cluster.condition('all', 'Progressing'), 'False/Complete');
    cluster.profiles.set('other', profile('other', {}));
    cluster.events.length = 0;
    cluster.reconcile();
    assert.deepEqual(cluster.events, ['SelectorConflict', 'SelectorConflict']);
    cluster.profiles.delete('other');
    cluster.events.length = 0;
    cluster.reconcile();
    assert.deepEqual(cluster.events, ['RevisionAccepted']);
    assert.match(cluster.message('all', 'Progressing'), /^All 2 nodes run/);
  });

  it('do not tell again of the batches that stayed when one went back', () => {
    const rollout = { canary: { count: 0 }, onFailure: { fleet: 'RollbackBatch' } };
    const cluster = installed(4, rollout);
    cluster.reconcile();
    settle(cluster, 'n1');
    settle(cluster, 'n2');
    cluster.fail('n3');
    while (cluster.condition('all', 'Progressing') !== 'False/Rejected') cluster.reconcile();
    cluster.editProfile('all', { rollout: { ...rollout, retryToken: 'again' } });
    const messages = cluster.plan().profiles.flatMap(({ events }) => events.map(({ message }) => message));
    assert.match(messages[0] ?? '', /^Batch 3 of 4 .* has started: n3\.$/);
    assert.equal(messages.length, 2);
  });

  it('have a name of their own for each wish, and the same one whichever knob is turned', () => {
    const cluster = installed(2, { canary: { count: 0 } });
    const names = () => cluster.plan().profiles.flatMap(({ events }) => events.map(({ name }) => name));
    const first = names();
    cluster.editProfile('all', { rollout: { canary: { count: 0 }, batchSoak: '7s' } });
    assert.deepEqual(names(), first);
    cluster.editProfile('all', { masqueradeBit: 15, rollout: { canary: { count: 0 } } });
    assert.deepEqual(
      names().filter((name) => first.includes(name)),
      [],
    );
  });

  it('warn of what is wrong, and of nothing else', () => {
    const cluster = installed(3, { canary: { soak: '0s' } });
    const types = new Map<string, string>();
    const step = () => {
      for (const { profiles } of [cluster.plan()]) {
        for (const { reason, type } of profiles.flatMap(({ events }) => events)) types.set(reason, type);
      }
      cluster.reconcile();
    };
    step();
    cluster.succeed('n1');
    step();
    cluster.fail('n2');
    for (let round = 0; round < 4; round++) {
      step();
      cluster.succeed('n1');
    }
    const warnings = [...types].filter(([, type]) => type === 'Warning').map(([reason]) => reason);
    assert.deepEqual(warnings.sort(), ['NodeFailed', 'RevisionRejected', 'RollbackStarted']);
    for (const good of ['CanaryPassed', 'BatchStarted', 'RollbackCompleted']) assert.equal(types.get(good), 'Normal');
  });
});

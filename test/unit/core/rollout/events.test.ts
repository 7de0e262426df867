import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SimulatedCluster } from './cluster.ts';
import { installed } from './stories.ts';

const NODES = ['n1', 'n2', 'n3', 'n4'];

/** A controller that grants, and ends before it can write a status or an event. */
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

  for (const unseen of [[], [0], [1], [2], [0, 1], [0, 1, 2]]) {
    const what = unseen.length === 0 ? 'no controller ends' : `a controller ends after granting batch ${unseen.join()}`;
    it(`tell of every batch once when ${what}`, () => {
      const cluster = installed(4, { canary: { soak: '0s' }, maxUnavailable: 2, batchSoak: '0s' });
      for (let batch = 0; batch < 3; batch++) {
        if (unseen.includes(batch)) grantOnly(cluster);
        else cluster.reconcile();
        cluster.succeed(...NODES);
      }
      for (let round = 0; round < 3; round++) cluster.reconcile();
      assert.equal(cluster.condition('all', 'Progressing'), 'False/Complete');
      // Where nobody saw it go on, there is only its end to tell of; the batches are told all the same.
      const seen = unseen.length < 3 ? expected : expected.filter((reason) => reason !== 'RolloutStarted');
      assert.deepEqual(cluster.events.toSorted(), seen);
    });
  }

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

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rehearseRollout, type Rehearsal } from '../../../../src/core/rollout/rehearsal.ts';
import { node, profile, SimulatedCluster } from './cluster.ts';

const NODES = ['n1', 'n2', 'n3', 'n4', 'n5'];

function cluster(rollout: object = {}): SimulatedCluster {
  const simulated = new SimulatedCluster(
    [profile('p', { mode: 'iptables', rollout })],
    NODES.map((name) => node(name)),
  );
  settle(simulated);
  return simulated;
}

/** Lets everything happen, in steps of a second. */
function settle(simulated: SimulatedCluster): string[] {
  const order: string[] = [];
  for (let round = 0; round < 200; round += 1) {
    for (const action of simulated.reconcile().actions) {
      if (action.kind === 'Create' || (action.kind === 'ReplaceSpec' && action.purpose === 'Grant'))
        order.push(action.node);
    }
    simulated.succeed(...NODES);
    simulated.nowMs += 1_000;
  }
  return order;
}

function rehearse(simulated: SimulatedCluster, maxRounds = 1_000): Rehearsal {
  return rehearseRollout(simulated.input(), 'p', { maxRounds });
}

const nodesOf = ({ steps }: Rehearsal): string[] => steps.map((step) => step.node);

describe('rehearseRollout', () => {
  for (const [name, rollout] of [
    ['one at a time', {}],
    ['two at a time', { maxUnavailable: 2 }],
    ['a canary and soaks', { canary: { count: 1, soak: '30s' }, batchSoak: '20s', maxUnavailable: 2 }],
  ] as const) {
    it(`names the nodes in the order in which they then change: ${name}`, () => {
      const simulated = cluster(rollout);
      simulated.editProfile('p', { mode: 'nftables' });
      const rehearsal = rehearse(simulated);
      assert.equal(rehearsal.isComplete, true);
      assert.deepEqual(nodesOf(rehearsal), settle(simulated));
      assert.deepEqual(
        new Set(rehearsal.steps.map(({ from, to }) => `${from} > ${to}`)),
        new Set(['iptables > nftables']),
      );
    });
  }

  it('leaves the objects that it was given alone', () => {
    const simulated = cluster();
    simulated.editProfile('p', { mode: 'nftables' });
    const before = JSON.stringify([...simulated.states.values(), ...simulated.profiles.values()]);
    rehearse(simulated);
    assert.equal(JSON.stringify([...simulated.states.values(), ...simulated.profiles.values()]), before);
  });

  it('finds nothing to do where everything runs', () => {
    const rehearsal = rehearse(cluster());
    assert.deepEqual([nodesOf(rehearsal), rehearsal.isComplete], [[], true]);
  });

  it('looks past a pause and an approval', () => {
    const simulated = cluster();
    simulated.editProfile('p', {
      mode: 'nftables',
      rollout: { paused: true, canary: { count: 1, approval: 'Manual' } },
    });
    const { isComplete, needsApproval, steps } = rehearse(simulated);
    assert.deepEqual([isComplete, needsApproval, steps.length, steps[0]?.batch], [true, true, NODES.length, 0]);
  });

  it('says that it was cut off', () => {
    const simulated = cluster();
    simulated.editProfile('p', { mode: 'nftables' });
    assert.deepEqual(((found) => [found.isCutOff, found.isComplete])(rehearse(simulated, 3)), [true, false]);
  });

  it('stops where the profile is not accepted', () => {
    const simulated = new SimulatedCluster([profile('p', {}), profile('q', {})], [node('n1')]);
    const { isComplete, steps, status } = rehearse(simulated);
    assert.deepEqual([isComplete, steps.length], [false, 0]);
    assert.equal(status?.conditions?.find(({ type }) => type === 'Accepted')?.reason, 'SelectorConflict');
  });
});

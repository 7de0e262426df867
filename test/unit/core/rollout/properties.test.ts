import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../property.ts';
import { proxyProfileStatus } from '../../../../src/core/api/proxy-profile.ts';
import { planRollout } from '../../../../src/core/rollout/rollout.ts';
import { attempts, checkAnnounced, checkPlan } from './invariants.ts';
import { begin, happen, NAMES, rolloutOf, scenario, type Scenario } from './scenario.ts';
import type { SimulatedCluster } from './cluster.ts';

function play(given: Scenario): SimulatedCluster {
  const cluster = begin(given);
  for (const one of given.happenings) {
    const plan = cluster.plan();
    checkPlan(cluster, plan);
    cluster.apply(plan);
    happen(cluster, one);
    cluster.nowMs += 1_000;
  }
  return cluster;
}

describe('whatever happens to a rollout', () => {
  it('no plan breaks an invariant', () => {
    assertProperty(
      fc.property(scenario, (given) => void play(given)),
      { numRuns: 400 },
    );
  });

  it('the same objects at the same time give the same plan, in whatever order they come', () => {
    assertProperty(
      fc.property(scenario, (given) => {
        const input = play(given).input();
        const backward = {
          ...input,
          profiles: input.profiles.toReversed(),
          nodes: input.nodes.toReversed(),
          states: input.states.toReversed(),
        };
        assert.deepEqual(planRollout(backward), planRollout(input));
      }),
      { numRuns: 60 },
    );
  });

  it('what was remembered of nodes from earlier plans changes none', () => {
    assertProperty(
      fc.property(scenario, (given) => {
        const cluster = begin(given);
        for (const one of given.happenings) {
          assert.deepEqual(cluster.plan(), planRollout(structuredClone(cluster.input())));
          cluster.reconcile();
          happen(cluster, one);
          cluster.nowMs += 1_000;
        }
      }),
      { numRuns: 60 },
    );
  });

  it('a plan that was carried out is soon followed by an empty one, and no event is told twice', () => {
    assertProperty(
      fc.property(scenario, (given) => {
        const cluster = play(given);
        for (let round = 0; round < 4; round++) cluster.reconcile();
        const again = cluster.plan();
        assert.deepEqual(again.actions, []);
        for (const { status, profile: of, isChanged, events } of again.profiles) {
          assert.deepEqual(isChanged ? status : of.status, of.status);
          assert.deepEqual(events, []);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('a controller that loses half of its writes, whenever it is replaced, breaks none either', () => {
    assertProperty(
      fc.property(scenario, fc.infiniteStream(fc.boolean()), (given, luck) => {
        const cluster = begin(given);
        const isLucky = () => luck.next().value === true;
        for (const one of given.happenings) {
          const plan = cluster.plan();
          checkPlan(cluster, plan);
          const before = attempts(cluster);
          cluster.apply({ ...plan, actions: plan.actions.filter(isLucky), profiles: plan.profiles.filter(isLucky) });
          checkAnnounced(cluster, before);
          happen(cluster, one);
          cluster.nowMs += 1_000;
        }
      }),
      { numRuns: 200 },
    );
  });

  it('once agents work again, another try leads every node to the revision', () => {
    assertProperty(
      fc.property(scenario, (given) => {
        const cluster = play(given);
        cluster.succeed(...NAMES);
        const { canary, ...others } = rolloutOf(cluster);
        const free = { paused: false, dryRun: false, windows: [], retryToken: 'once more' };
        cluster.editProfile('all', { rollout: { ...others, ...free, canary: { ...canary, approval: 'Auto' } } });
        for (const name of NAMES) happen(cluster, { kind: 'awake', node: name, number: 1 });
        for (let round = 0; round < 6 * NAMES.length; round++) {
          cluster.reconcile();
          // Longer than every soak and deadline.
          cluster.nowMs += 700_000;
          cluster.succeed(...NAMES);
        }
        cluster.reconcile();
        const expected = cluster.nodes.size > 0 ? 'True/AllNodesReady' : 'False/NotAccepted';
        assert.equal(cluster.condition('all', 'Available'), expected);
        assert.deepEqual(proxyProfileStatus.safeParse(cluster.profile('all').status).error?.issues, undefined);
      }),
      { numRuns: 150 },
    );
  });
});

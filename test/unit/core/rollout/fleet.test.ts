import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { node, type SimulatedCluster } from './cluster.ts';
import { checkPlan } from './invariants.ts';
import { installed } from './stories.ts';

/** `SWITCHYARD_FLEET=5000` plays the whole fleet: some twenty thousand plans, each held to every invariant. */
const NODES = Number(process.env['SWITCHYARD_FLEET'] ?? '200');
const ZONES = 10;
const FAILING = 'zone-4';
const MAX_FAILURES = 5;
const ZONE = 'topology.kubernetes.io/zone';

/** A generator of Lehmer's: the same order of events in every run. */
function shuffler(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

function fleet(): SimulatedCluster {
  const nodes = Array.from({ length: NODES }, (_, index) =>
    node(`n${index}`, { labels: { [ZONE]: `zone-${index % ZONES}` } }),
  );
  const rollout = {
    maxUnavailable: '5%',
    maxFailures: MAX_FAILURES,
    canary: { count: 3, soak: '30s' },
    batchSoak: '5s',
  };
  return installed(NODES, rollout, nodes);
}

describe(`a fleet of ${NODES} nodes in ${ZONES} zones`, () => {
  it('keeps every invariant at every event, while a zone fails and the whole fleet goes back', () => {
    const cluster = fleet();
    const pick = shuffler(20_260_101);
    const isFailing = (name: string) => cluster.nodes.get(name)?.metadata.labels?.[ZONE] === FAILING;
    const busy = () =>
      [...cluster.states.values()].filter(
        ({ spec, status }) => spec.attempt && spec.attempt.id !== status?.attempt?.id,
      );
    let [plans, grants, mostBusy] = [0, 0, 0];
    const failed = new Set<string>();
    while (cluster.condition('all', 'Progressing') !== 'False/Rejected') {
      const plan = cluster.plan();
      checkPlan(cluster, plan);
      cluster.apply(plan);
      plans += 1;
      grants += plan.actions.filter((action) => 'purpose' in action && action.purpose === 'Grant').length;
      const waiting = busy();
      mostBusy = Math.max(mostBusy, waiting.length);
      const next = waiting[pick(Math.max(1, waiting.length))];
      if (next !== undefined) {
        const { name } = next.metadata;
        if (isFailing(name) && next.spec.rendered.mode === 'nftables') {
          cluster.fail(name);
          failed.add(name);
        } else cluster.succeed(name);
      }
      cluster.nowMs += 1_000;
      assert.ok(plans < 20 * NODES, 'it comes to no end');
    }
    assert.deepEqual(cluster.moved(), {});
    assert.ok(mostBusy <= NODES / 20, `${mostBusy} at a time`);
    assert.ok(failed.size >= MAX_FAILURES && failed.size <= MAX_FAILURES + NODES / 20, `${failed.size} failed`);
    assert.ok(grants > NODES / 2, 'zones before the failing one were done and went back');
    assert.match(cluster.message('all', 'Degraded'), /VerifyFailed/);
  });
});

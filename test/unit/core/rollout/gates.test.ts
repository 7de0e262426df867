import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GateResult } from '../../../../src/core/rollout/gates.ts';
import { node, type SimulatedCluster } from './cluster.ts';
import { installed, settle } from './stories.ts';

const GATE = { name: 'errors', http: { url: 'http://127.0.0.1:1/' } };
const ROLLOUT = { canary: { soak: '0s' }, gates: { custom: [GATE] }, onFailure: { fleet: 'Pause' } };

/** The canary runs the revision, its gate has answered, and that is written down. */
function answered(outcome: GateResult['outcome']): SimulatedCluster {
  const cluster = installed(2, ROLLOUT);
  cluster.reconcile();
  settle(cluster, 'n1');
  const key = cluster.plan().gateRequests[0]?.key ?? assert.fail('nothing is asked');
  cluster.gateResults.set(key, { outcome, message: 'as it said' });
  cluster.reconcile();
  return cluster;
}

/** Another controller, which has heard nothing yet. */
function takeOver(cluster: SimulatedCluster): void {
  cluster.gateResults.clear();
  cluster.events.length = 0;
  cluster.reconcile();
}

describe('a gate that fails after the canary', () => {
  it('stops the rollout, says so, and lets nobody take the canary for well', () => {
    const cluster = answered('Failed');
    assert.equal(cluster.profile('all').status?.rollout?.step, 'Canary');
    assert.ok(!cluster.events.includes('CanaryPassed'));
    assert.match(cluster.message('all', 'Progressing'), /^Stopped; 1 of 2 nodes are done\. Gate errors: as it said\. /);
    cluster.nodes.set('n3', node('n3'));
    cluster.reconcile();
    assert.equal(cluster.granted()['n3'], 'iptables*', 'a new node gets what is proven');
  });
});

describe('a controller that takes over a gate', () => {
  it('that had no data goes on waiting, tells nothing anew, and asks', () => {
    const cluster = answered('Inconclusive');
    takeOver(cluster);
    assert.equal(cluster.condition('all', 'Paused'), 'True/GateInconclusive');
    assert.deepEqual(cluster.events, []);
    const [request] = cluster.plan().gateRequests;
    cluster.gateResults.set(request?.key ?? assert.fail('nothing is asked'), { outcome: 'Passed', message: '5 of 5' });
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables*' });
  });

  it('that has failed does not ask it again, until the spec is another one', () => {
    const cluster = answered('Failed');
    assert.equal(cluster.condition('all', 'Degraded'), 'True/GateFailed');
    takeOver(cluster);
    assert.equal(cluster.condition('all', 'Degraded'), 'True/GateFailed');
    assert.deepEqual(cluster.events, []);
    assert.deepEqual(cluster.plan().gateRequests, []);
    cluster.editProfile('all', { rollout: { ...ROLLOUT, retryToken: 'again' } });
    assert.equal(cluster.plan().gateRequests.length, 1);
  });

  it('of an earlier batch asks it of the next one', () => {
    const cluster = answered('Passed');
    settle(cluster, 'n2');
    takeOver(cluster);
    assert.equal(cluster.plan().gateRequests.length, 1);
  });
});

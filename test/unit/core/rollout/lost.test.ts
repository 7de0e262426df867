import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SimulatedCluster } from './cluster.ts';
import { installed, MINUTE, settle } from './stories.ts';

const readyOf = (cluster: SimulatedCluster, name: string) =>
  cluster.states.get(name)?.status?.conditions?.find(({ type }) => type === 'Ready');

describe('an agent that is not heard any more', () => {
  it('is said to be lost, once, and not started; when it speaks again, the rollout goes on', () => {
    const cluster = installed(3, { canary: { count: 0 } });
    cluster.lostAgents.add('n1');
    const plan = cluster.reconcile();
    assert.deepEqual(
      plan.actions.map(({ kind, node }) => `${kind} ${node}`),
      ['ReportLost n1'],
    );
    const { status, reason, message } = readyOf(cluster, 'n1') ?? {};
    assert.deepEqual([status, reason], ['Unknown', 'AgentLost']);
    assert.match(message ?? '', /Lease switchyard-agent-n1 for 120 s/);
    assert.deepEqual(cluster.reconcile().actions, []);
    assert.equal(cluster.condition('all', 'Progressing'), 'True/WaitingForSlot');
    assert.equal(cluster.condition('all', 'Degraded'), 'True/AgentsMissing');
    assert.equal(cluster.profile('all').status?.problems?.[0]?.reason, 'AgentLost');
    assert.equal(cluster.profile('all').status?.nodes?.agentMissing, 1);
    assert.deepEqual(
      cluster.events.filter((each) => /Agent/.test(each)),
      ['AgentLost', 'AgentsMissing'],
    );
    cluster.lostAgents.clear();
    cluster.setReady('n1', 'True');
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*' });
    assert.equal(cluster.condition('all', 'Degraded'), 'False/AsExpected');
  });

  it('makes a complete rollout unavailable, and names why', () => {
    const cluster = installed(2, { canary: { count: 0 } });
    for (const name of ['n1', 'n2']) {
      cluster.reconcile();
      settle(cluster, name);
    }
    assert.equal(cluster.condition('all', 'Available'), 'True/AllNodesReady');
    cluster.lostAgents.add('n2');
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Available'), 'False/AgentsMissing');
    assert.equal(cluster.condition('all', 'Progressing'), 'False/Complete');
  });

  it('after its change fails the revision on trial, as every illness does', () => {
    const cluster = installed(2, { canary: { soak: '10m' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.lostAgents.add('n1');
    cluster.reconcile();
    cluster.nowMs += 5 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.profile('all').status?.revision?.rejected?.[0]?.cause, 'AgentLost');
  });

  it('is nothing new when another controller takes over', () => {
    const cluster = installed(2, { canary: { count: 0 } });
    cluster.lostAgents.add('n1');
    cluster.reconcile();
    // It has not listened for long enough to know it itself.
    cluster.lostAgents.clear();
    assert.deepEqual(cluster.reconcile().actions, []);
  });
});

describe('drift that persists', () => {
  const drift = (cluster: SimulatedCluster, reason: string) =>
    cluster.report('n2', (status) => {
      const lastTransitionTime = new Date(cluster.nowMs).toISOString();
      const condition = { type: 'Drifted', status: 'True', reason, message: 'who else', lastTransitionTime } as const;
      status.conditions = [...(status.conditions ?? []), condition];
    });

  it('is told after ten minutes of it, which time alone brings', () => {
    const cluster = installed(2, { paused: true });
    drift(cluster, 'SysctlOverridden');
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Degraded'), 'False/AsExpected');
    assert.equal(cluster.plan().wakeAtMs, cluster.nowMs + 10 * MINUTE);
    cluster.nowMs += 10 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Degraded'), 'True/DriftPersistent');
    assert.match(cluster.message('all', 'Degraded'), /n2: who else/);
    cluster.reconcile();
    assert.equal(cluster.events.filter((reason) => reason === 'DriftPersistent').length, 1);
  });

  it('is told at once where the agent has given way', () => {
    const cluster = installed(2, { paused: true });
    drift(cluster, 'RulesContested');
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Degraded'), 'True/DriftPersistent');
  });
});

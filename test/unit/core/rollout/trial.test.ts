import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { installed, kubelet, MINUTE, settle } from './stories.ts';
import { node } from './cluster.ts';

describe('the canary', () => {
  it('goes alone, soaks, and only then come the batches', () => {
    const cluster = installed(4, { canary: { soak: '10m' }, maxUnavailable: 2 });
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*' });
    assert.equal(cluster.condition('all', 'Progressing'), 'True/CanaryRunning');
    settle(cluster, 'n1');
    assert.equal(cluster.condition('all', 'Progressing'), 'True/Soaking');
    assert.equal(cluster.profile('all').status?.rollout?.soakUntil, '2026-01-01T00:10:00Z');
    assert.equal(cluster.plan().wakeAtMs, cluster.nowMs + 10 * MINUTE);
    cluster.nowMs += 10 * MINUTE - 1;
    assert.deepEqual(cluster.reconcile().actions, []);
    cluster.nowMs += 1;
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables*', n3: 'nftables*' });
    assert.deepEqual(cluster.batches(), { n1: 0, n2: 1, n3: 1 });
    assert.deepEqual(
      cluster.events.filter((reason) => /Canary|Batch/.test(reason)),
      ['CanaryStarted', 'CanaryPassed', 'BatchStarted'],
    );
  });

  it('is taken from the selector, as many as it says', () => {
    const cluster = installed(4, { canary: { count: 2, selector: { matchLabels: { canary: 'yes' } }, soak: '0s' } }, [
      node('n1'),
      node('n2', { labels: { canary: 'yes' } }),
      node('n3'),
      node('n4', { labels: { canary: 'yes' } }),
    ]);
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n2: 'nftables*' });
    settle(cluster, 'n2');
    assert.deepEqual(cluster.moved(), { n2: 'nftables', n4: 'nftables*' });
    settle(cluster, 'n4');
    assert.deepEqual(cluster.batches(), { n2: 0, n4: 0, n1: 1 });
  });

  for (const [count, nodes, expected] of [
    ['50%', 4, 2],
    ['10%', 4, 1],
    ['100%', 3, 3],
    ['34%', 3, 1],
    ['1%', 1, 1],
  ] as const) {
    it(`of ${count} of ${nodes} nodes is ${expected}`, () => {
      const cluster = installed(nodes, { canary: { count, soak: '10m' }, maxUnavailable: 10 });
      cluster.reconcile();
      assert.equal(Object.values(cluster.batches()).filter((batch) => batch === 0).length, expected);
      assert.equal(cluster.condition('all', 'Progressing'), 'True/CanaryRunning');
      assert.equal(cluster.profile('all').status?.plan?.filter(({ batch }) => batch === 0).length ?? 0, expected);
    });
  }

  it('of a percentage is one of all nodes, and taken from the selector as far as that goes', () => {
    const labelled = (name: string) => node(name, { labels: { canary: 'yes' } });
    const cluster = installed(
      4,
      { canary: { count: '75%', selector: { matchLabels: { canary: 'yes' } }, soak: '10m' } },
      [node('n1'), node('n2'), labelled('n3'), labelled('n4')],
    );
    cluster.editProfile('all', {
      rollout: {
        canary: { count: '75%', selector: { matchLabels: { canary: 'yes' } }, soak: '10m' },
        maxUnavailable: 4,
      },
    });
    cluster.reconcile();
    assert.deepEqual(cluster.batches(), { n3: 0, n4: 0 });
  });

  it('says so when no node matches its selector', () => {
    const cluster = installed(2, { canary: { selector: { matchLabels: { no: 'body' } } } });
    assert.deepEqual(cluster.reconcile().actions, []);
    assert.equal(cluster.condition('all', 'Progressing'), 'False/NoCanary');
  });

  it('waits for approval of this very revision', () => {
    const cluster = installed(2, { canary: { soak: '0s', approval: 'Manual' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    assert.equal(cluster.condition('all', 'Paused'), 'True/AwaitingApproval');
    assert.match(cluster.message('all', 'Paused'), /kubectl annotate .*switchyard.dev\/approved-revision=/);
    cluster.annotate('all', 'switchyard.dev/approved-revision', 'another');
    assert.deepEqual(cluster.reconcile().actions, []);
    const target = cluster.profile('all').status?.revision?.target ?? '';
    cluster.annotate('all', 'switchyard.dev/approved-revision', target);
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables*' });
  });

  it('starts over with another revision', () => {
    const cluster = installed(3, { canary: { soak: '1m' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.editProfile('all', { masqueradeBit: 15 });
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'True/CanaryRunning');
    assert.deepEqual(cluster.batches(), { n1: 0 });
    assert.ok(cluster.events.includes('RolloutSuperseded'));
  });

  it('that falls ill while it soaks holds the rollout, and fails it after nodeDeadline', () => {
    const cluster = installed(2, { canary: { soak: '1m' }, onFailure: { fleet: 'Pause' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.nowMs += MINUTE;
    cluster.setReady('n1', 'False', cluster.nowMs);
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'True/Soaking');
    assert.match(cluster.message('all', 'Progressing'), /waits until n1 is well/);
    assert.equal(cluster.plan().wakeAtMs, cluster.nowMs + 5 * MINUTE);
    cluster.nowMs += 5 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Paused'), 'True/FailureBudgetSpent');
  });
});

describe('the batches', () => {
  it('soak in between, keep to one zone, and the last one soaks before the rollout is complete', () => {
    const zone = (name: string) => ({ labels: { 'topology.kubernetes.io/zone': name } });
    const nodes = [node('a1', zone('a')), node('a2', zone('a')), node('a3', zone('a')), node('b1', zone('b'))];
    const cluster = installed(4, { maxUnavailable: 2, batchSoak: '2m', canary: { count: 0 } }, nodes);
    const seen: string[][] = [];
    for (let round = 0; round < 12; round++) {
      const busy = Object.entries(cluster.moved()).filter(([, mode]) => mode.endsWith('*'));
      if (busy.length > 0) seen.push(busy.map(([name]) => name));
      cluster.reconcile();
      cluster.succeed('a1', 'a2', 'a3', 'b1');
      cluster.nowMs += MINUTE;
    }
    assert.deepEqual(seen, [['a1', 'a2'], ['a3'], ['b1']]);
    assert.equal(cluster.condition('all', 'Progressing'), 'False/Complete');
    const { revision, rollout } = cluster.profile('all').status ?? {};
    assert.equal(revision?.lastGood, revision?.target);
    assert.equal(rollout?.step, 'Done');
  });

  it('wait for their window, which time alone opens', () => {
    const windows = [{ days: ['thu'], start: '02:00', end: '04:00' }];
    const cluster = installed(2, { windows, canary: { count: 0 } });
    assert.deepEqual(cluster.reconcile().actions, []);
    assert.equal(cluster.condition('all', 'Progressing'), 'False/OutsideWindow');
    cluster.nowMs = cluster.plan().wakeAtMs ?? assert.fail('never wakes');
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*' });
    cluster.nowMs += 3 * 60 * MINUTE;
    cluster.succeed('n1');
    cluster.reconcile();
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables' });
    assert.equal(cluster.condition('all', 'Progressing'), 'False/OutsideWindow');
  });

  it('say DeadlineExceeded when no node starts or ends for too long, and go on when one does', () => {
    const cluster = installed(3, { canary: { count: 0 }, progressDeadline: '10m', maxFailures: 3 });
    cluster.reconcile();
    cluster.fail('n1', false);
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'True/WaitingForSlot');
    cluster.nowMs = cluster.plan().wakeAtMs ?? assert.fail('never wakes');
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Progressing'), 'False/DeadlineExceeded');
    cluster.nowMs += MINUTE;
    assert.equal(cluster.reconcile().profiles[0]?.isChanged, false);
    cluster.setReady('n1', 'True');
    cluster.reconcile();
    assert.equal(cluster.granted()['n2'], 'nftables*');
    assert.equal(cluster.condition('all', 'Progressing'), 'True/BatchRunning');
    assert.equal(cluster.events.filter((reason) => reason === 'DeadlineExceeded').length, 1);
  });
});

describe('before anything moves', () => {
  it('a node that cannot run the mode is seen, and keeps the rollout from starting', () => {
    const cluster = installed(3, { canary: { soak: '0s' } });
    cluster.report('n2', (status) => {
      status.preflight = { kernel: '6.1', modes: ['iptables'], missing: ['the kernel module nf_tables is missing'] };
    });
    assert.deepEqual(cluster.reconcile().actions, []);
    assert.equal(cluster.condition('all', 'Progressing'), 'False/PreflightFailed');
    assert.equal(cluster.condition('all', 'Degraded'), 'True/PreflightFailed');
    assert.match(cluster.message('all', 'Degraded'), /n2.*nf_tables/);
    assert.equal(cluster.profile('all').status?.nodes?.blocked, 1);
    cluster.editProfile('all', { rollout: { canary: { count: 0 }, maxFailures: 2, maxUnavailable: 2 } });
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*', n3: 'nftables*' });
  });

  it('a node whose gate fails already is no candidate, and is shown', () => {
    const cluster = installed(2, { maxFailures: 2, canary: { soak: '0s' } });
    cluster.report('n1', (status) => {
      status.probes = [{ name: 'ClusterDNS', result: 'Fail', message: 'no answer', at: '2026-01-01T00:00:00Z' }];
    });
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n2: 'nftables*' });
    const problem = cluster.profile('all').status?.problems?.[0];
    assert.deepEqual([problem?.node, problem?.reason], ['n1', 'BaselineProbeFailed']);
    assert.ok(cluster.events.includes('NodeSkipped'));
  });

  it('a dry run shows the plan and starts nothing', () => {
    const cluster = installed(3, { dryRun: true, canary: { count: 1 }, maxUnavailable: 2 });
    assert.deepEqual(cluster.reconcile().actions, []);
    assert.equal(cluster.condition('all', 'Progressing'), 'False/DryRun');
    assert.deepEqual(
      cluster.profile('all').status?.plan?.map((each) => [each.node, each.from, each.to, each.batch]),
      [
        ['n1', 'iptables', 'nftables', 0],
        ['n2', 'iptables', 'nftables', 1],
        ['n3', 'iptables', 'nftables', 1],
      ],
    );
  });

  it('a silent kubelet is not started, and one that is silent for long is left out', () => {
    const cluster = installed(2, { canary: { count: 0 } });
    kubelet(cluster, 'n1', 'Unknown');
    assert.deepEqual(cluster.reconcile().actions, []);
    assert.equal(cluster.condition('all', 'Progressing'), 'True/WaitingForSlot');
    cluster.nowMs = cluster.plan().wakeAtMs ?? assert.fail('never wakes');
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n2: 'nftables*' });
    assert.equal(cluster.profile('all').status?.nodes?.skipped, 1);
    settle(cluster, 'n2');
    assert.equal(cluster.condition('all', 'Progressing'), 'False/Complete');
    kubelet(cluster, 'n1', 'True');
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*', n2: 'nftables' });
  });
});

describe('gates', () => {
  const gate = { name: 'errors', http: { url: 'http://127.0.0.1:1/' } };
  const withGate = (more: object = {}) => installed(2, { canary: { soak: '0s' }, gates: { custom: [gate] }, ...more });

  it('are asked after the canary, and what they say decides', () => {
    const cluster = withGate();
    assert.deepEqual(cluster.reconcile().gateRequests, []);
    settle(cluster, 'n1');
    const [request] = cluster.plan().gateRequests;
    assert.equal(request?.gate.name, 'errors');
    assert.equal(cluster.condition('all', 'Progressing'), 'True/Soaking');
    cluster.gateResults.set(request?.key ?? '', { outcome: 'Passed', message: '5 of 5' });
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables*' });
    settle(cluster, 'n2');
    const [second] = cluster.plan().gateRequests;
    assert.notEqual(second?.key, request?.key);
  });

  it('that fail take the revision back', () => {
    const cluster = withGate();
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.gateResults.set(cluster.plan().gateRequests[0]?.key ?? '', { outcome: 'Failed', message: 'answered 500' });
    for (let round = 0; round < 4; round++) {
      cluster.reconcile();
      cluster.succeed('n1');
    }
    assert.deepEqual(cluster.moved(), {});
    assert.match(cluster.message('all', 'Degraded'), /GateFailed.*answered 500/);
    assert.ok(cluster.events.includes('GateFailed'));
  });

  it('without data pause, until data or a person come', () => {
    const cluster = withGate();
    cluster.reconcile();
    settle(cluster, 'n1');
    const key = cluster.plan().gateRequests[0]?.key ?? '';
    cluster.gateResults.set(key, { outcome: 'Inconclusive', message: 'no result' });
    cluster.reconcile();
    assert.equal(cluster.condition('all', 'Paused'), 'True/GateInconclusive');
    assert.equal(cluster.plan().gateRequests.length, 1);
    cluster.annotate('all', 'switchyard.dev/approved-revision', cluster.profile('all').status?.revision?.target ?? '');
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables', n2: 'nftables*' });
  });
});

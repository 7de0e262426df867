import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { node, profile } from './cluster.ts';
import { installed, kubelet, MINUTE, settle } from './stories.ts';

const CANARY = { labels: { canary: 'yes' } };
const SELECTED = { canary: { soak: '0s', selector: { matchLabels: { canary: 'yes' } } }, maxFailures: 3 };

describe('no batch without a canary that is well', () => {
  it('a canary that failed is replaced by another one, while maxFailures allows', () => {
    const cluster = installed(3, { ...SELECTED, maxUnavailable: 2 }, [
      node('n1', CANARY),
      node('n2', CANARY),
      node('n3'),
    ]);
    cluster.reconcile();
    cluster.fail('n1');
    cluster.reconcile();
    assert.deepEqual(cluster.moved(), { n1: 'nftables*', n2: 'nftables*' });
    settle(cluster, 'n2');
    assert.deepEqual(cluster.batches(), { n1: 0, n2: 0, n3: 1 });
  });

  it('where none is left to try, the rollout says so and waits', () => {
    const cluster = installed(3, SELECTED, [node('n1', CANARY), node('n2'), node('n3')]);
    cluster.reconcile();
    cluster.fail('n1');
    cluster.reconcile();
    assert.deepEqual(Object.keys(cluster.moved()), ['n1']);
    assert.equal(cluster.condition('all', 'Progressing'), 'False/NoCanary');
    assert.match(cluster.message('all', 'Progressing'), /The canary n1 failed/);
    cluster.nodes.set('n4', node('n4'));
    cluster.reconcile();
    assert.equal(cluster.granted()['n4'], 'iptables*', 'a new node is no canary and gets what is proven');
  });

  it('a new node that was given the revision at once is none', () => {
    const cluster = installed(2, { canary: { soak: '10m' }, newNodes: 'Target', maxUnavailable: 1, paused: true });
    cluster.nodes.set('a1', node('a1'));
    cluster.editProfile('all', { rollout: { canary: { soak: '10m' }, newNodes: 'Target' } });
    cluster.reconcile();
    assert.equal(cluster.granted()['a1'], 'nftables*');
    settle(cluster, 'a1');
    assert.deepEqual(cluster.batches(), { n1: 0 });
  });

  it('a node that another profile brought there is none', () => {
    const first = { canary: { count: 0 }, maxUnavailable: 2 };
    const labels = { labels: { pool: 'a' } };
    const cluster = installed(2, first, [node('n1', labels), node('n2', labels)]);
    cluster.reconcile();
    settle(cluster, 'n1', 'n2');
    cluster.nodes.set('n3', node('n3', labels));
    const taker = { priority: 1, rollout: { canary: { count: 1, soak: '10m' }, maxUnavailable: 3 } };
    cluster.profiles.set('taker', profile('taker', taker));
    cluster.reconcile();
    settle(cluster, 'n3');
    assert.equal(cluster.condition('taker', 'Progressing'), 'True/Soaking');
    cluster.nodes.set('n4', node('n4', labels));
    assert.deepEqual(cluster.reconcile().actions, []);
  });
});

describe('a machine that dies of its change', () => {
  it('counts as failed, and keeps the rollout from killing the next one', () => {
    const cluster = installed(3, { canary: { soak: '1m' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.nowMs += MINUTE / 2;
    kubelet(cluster, 'n1', 'Unknown');
    cluster.nowMs += 6 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.profile('all').status?.revision?.rejected?.[0]?.cause, 'NodeNotReady');
    cluster.nowMs += 60 * MINUTE;
    cluster.reconcile();
    assert.deepEqual(Object.keys(cluster.moved()), ['n1']);
  });

  it('one that dies long after it is only left out', () => {
    const cluster = installed(3, { canary: { soak: '1h' } });
    cluster.reconcile();
    settle(cluster, 'n1');
    cluster.nowMs += 30 * MINUTE;
    kubelet(cluster, 'n1', 'Unknown');
    cluster.nowMs += 11 * MINUTE;
    cluster.reconcile();
    assert.equal(cluster.profile('all').status?.revision?.rejected, undefined);
    assert.equal(cluster.profile('all').status?.nodes?.skipped, 1);
    assert.deepEqual(cluster.batches(), { n1: 0, n2: 0 });
  });
});

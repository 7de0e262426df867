import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Measurement } from '../../src/controllers/gates/gate-runner.ts';
import { SkippingClock } from '../fakes/skipping-clock.ts';
import { ControllerCluster } from './controller-cluster.ts';

const NODES = ['n1', 'n2', 'n3'];
const MINUTE = 60_000;
const IPTABLES = { n1: 'iptables', n2: 'iptables', n3: 'iptables' };

describe('the controller with a fleet', { timeout: 180_000 }, () => {
  let cluster: ControllerCluster;
  let clock: SkippingClock;
  let measurement: Measurement;

  beforeEach(async () => {
    clock = new SkippingClock();
    measurement = { kind: 'NoData', message: 'no result' };
    cluster = await ControllerCluster.start();
    await cluster.addNodes(...NODES);
  });
  afterEach(() => cluster.close());

  const run = (name: string) => cluster.run(name, {}, { clock, gateProbe: () => Promise.resolve(measurement) });
  const granted = (expected: object) => async () => {
    assert.deepEqual(await cluster.granted(), expected);
    return true;
  };

  /** All nodes run iptables, and the rollout of it is complete. */
  async function install(): Promise<void> {
    await cluster.createProfile('all', { mode: 'iptables', rollout: { maxUnavailable: 3 } });
    await cluster.untilCondition('all', 'Progressing=False/Complete', { agents: NODES });
    await cluster.until('every slot is given back', granted(IPTABLES));
  }

  it('soaks a canary, asks its gate, goes on, and tells each step once', async () => {
    run('one');
    await install();
    const gates = { custom: [{ name: 'errors', prometheus: { address: 'http://prometheus', query: 'x' }, count: 1 }] };
    const rollout = { canary: { count: 1, soak: '10m' }, maxUnavailable: 2, gates };
    await cluster.editProfile('all', { mode: 'nftables', rollout });
    await cluster.untilCondition('all', 'Progressing=True/Soaking', { agents: NODES });
    assert.equal((await cluster.granted())['n2'], 'iptables');
    clock.skip(10 * MINUTE);
    await cluster.untilCondition('all', 'Paused=True/GateInconclusive');
    measurement = { kind: 'Pass', message: 'result 1' };
    clock.skip(MINUTE);
    await cluster.until('the batch is granted', granted({ n1: 'nftables', n2: 'nftables*', n3: 'nftables*' }));
    await cluster.untilCondition('all', 'Progressing=False/Complete', { agents: NODES });
    const reasons = await cluster.eventReasons('all');
    for (const reason of ['CanaryStarted', 'CanaryPassed', 'GateInconclusive']) {
      assert.equal(reasons.filter((each) => each === reason).length, 1, reason);
    }
  });

  it('takes a revision back that failed on a node, names why, and tries it again when asked to', async () => {
    run('one');
    await install();
    await cluster.editProfile('all', { mode: 'nftables', rollout: { maxUnavailable: 1 } });
    await cluster.until('n1 is granted', granted({ ...IPTABLES, n1: 'nftables*' }));
    await cluster.actAsAgents(['n1']);
    await cluster.until('n2 is granted', granted({ ...IPTABLES, n1: 'nftables', n2: 'nftables*' }));
    await cluster.actAsAgents(['n2'], 'RolledBack');
    await cluster.untilCondition('all', 'Progressing=False/Rejected', { agents: ['n1'] });
    await cluster.until('all are back', granted(IPTABLES));
    const { spec, status } = await cluster.profile('all');
    assert.equal(spec.mode, 'nftables');
    assert.equal(status?.revision?.rejected?.[0]?.cause, 'VerifyFailed');
    await cluster.editProfile('all', { rollout: { retryToken: 'again' } });
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES });
  });

  it('keeps a deleted profile until its nodes have let go, or their time is up', async () => {
    run('one');
    await install();
    await cluster.editProfile('all', { onDelete: 'Release' });
    await cluster.until('the finalizer is there', async () => {
      return (await cluster.profile('all')).metadata.finalizers?.length === 1;
    });
    await cluster.deleteProfile('all');
    await cluster.until('the nodes are asked', async () => {
      return [...(await cluster.states()).values()].every(({ spec }) => spec.action === 'Release');
    });
    clock.skip(6 * MINUTE);
    await cluster.until('the profile is gone', () =>
      cluster.profile('all').then(
        () => false,
        () => true,
      ),
    );
    assert.equal((await cluster.states()).size, NODES.length, 'who did not answer is not taken for released');
    for (const name of (await cluster.states()).keys()) {
      await cluster.call('PATCH', `/apis/switchyard.dev/v1alpha1/nodeproxystates/${name}/status`, {
        status: { observedGeneration: (await cluster.states()).get(name)?.metadata.generation, current: null },
      });
    }
    await cluster.until('who answers late is forgotten then', async () => (await cluster.states()).size === 0);
  });
});

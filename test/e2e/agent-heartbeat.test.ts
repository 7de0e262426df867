import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { keepHeartbeat } from '../../src/agent/heartbeat.ts';
import { StatusReporter } from '../../src/agent/status-reporter.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { loadKubeConfigFile } from '../../src/kube/kubeconfig.ts';
import { silentLog } from '../../src/support/log.ts';
import { SkippingClock } from '../fakes/skipping-clock.ts';
import { ControllerCluster } from './controller-cluster.ts';

const NODES = ['n1', 'n2'];
const START = '2026-01-01T00:00:00Z';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';

interface Lease {
  readonly metadata: { readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[] };
  readonly spec: { readonly holderIdentity: string; readonly renewTime: string; readonly leaseDurationSeconds: number };
}

describe('the heartbeat of agents', { timeout: 120_000 }, () => {
  let cluster: ControllerCluster;
  let clock: SkippingClock;
  let client: KubeClient;
  let stop: AbortController;
  const uids = new Map<string, string>();

  beforeEach(async () => {
    clock = new SkippingClock();
    cluster = await ControllerCluster.start();
    await cluster.addNodes(...NODES);
    for (const name of NODES) {
      const { metadata } = (await cluster.call('GET', `/api/v1/nodes/${name}`)) as { metadata: { uid: string } };
      uids.set(name, metadata.uid);
    }
    client = new KubeClient(loadKubeConfigFile(cluster.kubeconfig('agents')));
    stop = new AbortController();
  });
  afterEach(async () => {
    stop.abort();
    await client.close();
    await cluster.close();
  });

  const lease = async (node: string) => (await cluster.call('GET', `${LEASES}/switchyard-agent-${node}`)) as Lease;

  /** An agent that only renews its Lease, until the function that is given back is called. */
  function beat(nodeName: string): () => void {
    const ended = new AbortController();
    const signal = AbortSignal.any([ended.signal, stop.signal]);
    const nodeUID = () => uids.get(nodeName);
    void keepHeartbeat({ client, clock, log: silentLog, signal, nodeName, namespace: 'kube-system', nodeUID });
    return () => ended.abort();
  }

  /** Lets a minute pass in which the agent of this node is heard. */
  async function passMinuteWith(node: string): Promise<void> {
    const before = (await lease(node)).spec.renewTime;
    clock.skip(60_000);
    await cluster.until(`${node} renews`, async () => (await lease(node)).spec.renewTime !== before);
  }

  it('is a Lease that goes with its node', async () => {
    beat('n1');
    await cluster.until('there is a Lease', async () => (await lease('n1')).spec.holderIdentity === 'n1');
    const { metadata, spec } = await lease('n1');
    assert.equal(spec.leaseDurationSeconds, 120);
    assert.deepEqual(
      metadata.ownerReferences?.map(({ kind, name }) => `${kind} ${name}`),
      ['Node n1'],
    );
    await passMinuteWith('n1');
  });

  it('that ends makes the node not Ready, until its agent writes its status again', async () => {
    const end = beat('n1');
    beat('n2');
    cluster.run('one', { namespace: 'kube-system' }, { clock });
    await cluster.createProfile('all', { mode: 'iptables', rollout: { maxUnavailable: 2 } });
    await cluster.untilCondition('all', 'Available=True/AllNodesReady', { agents: NODES });
    await cluster.until('both are heard', async () => {
      return (await lease('n1')).spec.renewTime !== '' && (await lease('n2')).spec.renewTime !== '';
    });
    const reporter = await speak();
    end();
    await cluster.until('n1 is lost', async () => {
      await passMinuteWith('n2');
      return (await cluster.condition('all', 'Available')) === 'False/AgentsMissing';
    });
    const state = (await cluster.states()).get('n1') ?? assert.fail('no state');
    const ready = state.status?.conditions?.find(({ type }) => type === 'Ready');
    assert.deepEqual([ready?.status, ready?.reason], ['Unknown', 'AgentLost']);
    assert.equal(state.status?.current?.mode, 'iptables', 'nothing else of the status is touched');
    const events = await cluster.eventReasons('all');
    assert.equal(events.filter((reason) => reason === 'AgentLost').length, 1);
    beat('n1');
    reporter.setState(state);
    await cluster.untilCondition('all', 'Available=True/AllNodesReady');
  });

  /** An agent that has written its status, and has nothing else to say from then on. */
  async function speak(): Promise<StatusReporter> {
    const state = (await cluster.states()).get('n1') ?? assert.fail('no state');
    const good = {
      type: 'Ready',
      status: 'True',
      reason: 'Ready',
      message: 'I am',
      lastTransitionTime: START,
    } as const;
    const compose = () => ({ ...state.status, conditions: [good] });
    const reporter = new StatusReporter({
      client,
      clock,
      log: silentLog,
      signal: stop.signal,
      compose,
      onWritten: () => undefined,
    });
    reporter.setState(state);
    await cluster.until('the agent has spoken', async () => {
      return (await cluster.states()).get('n1')?.status?.conditions?.[0]?.message === good.message;
    });
    return reporter;
  }
});

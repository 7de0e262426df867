import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_NODE_LABEL } from '../../../../src/core/api/kube-proxy-config.ts';
import { renderedConfig, type NodeProxyState } from '../../../../src/core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../../../src/core/api/proxy-profile.ts';
import { proxyProfileSpec } from '../../../../src/core/api/proxy-profile.ts';
import { planRollout, type RolloutPlan } from '../../../../src/core/rollout/rollout.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const AT = '2026-01-01T00:00:00Z';

const profile = (rollout: object = {}): ProxyProfile => ({
  apiVersion: 'switchyard.dev/v1alpha1',
  kind: 'ProxyProfile',
  metadata: { name: 'p', uid: 'p-uid', generation: 2 },
  spec: proxyProfileSpec.parse({ mode: 'nftables', kubeProxy: { policy: 'GiveBack' }, rollout }),
});
const node = (name: string, isKeptOff = true) => ({
  metadata: { name, uid: `${name}-uid`, labels: isKeptOff ? { [DEFAULT_NODE_LABEL]: 'true' } : {} },
});
const state = (name: string, release?: 'asked' | 'done'): NodeProxyState => ({
  apiVersion: 'switchyard.dev/v1alpha1',
  kind: 'NodeProxyState',
  metadata: { name, generation: 3 },
  spec: {
    nodeName: name,
    nodeUID: `${name}-uid`,
    profile: { name: 'p', uid: 'p-uid', generation: 1 },
    revision: 'r',
    rendered: renderedConfig.parse({ mode: 'nftables' }),
    ...(release === undefined
      ? {}
      : { action: 'Release' as const, attempt: { id: 'release-1', grantedAt: AT, deadlineAt: AT } }),
  },
  status: {
    observedGeneration: 3,
    ...(release === 'done' ? {} : { current: { revision: 'r', mode: 'nftables' as const, since: AT } }),
  },
});

const plan = (states: readonly NodeProxyState[], nodes = [node('n1'), node('n2')], rollout = {}): RolloutPlan =>
  planRollout({ profiles: [profile(rollout)], nodes, states, nowMs: NOW });
const progress = ({ profiles }: RolloutPlan) =>
  profiles[0]?.status.conditions?.find(({ type }) => type === 'Progressing')?.reason;
const actions = (made: RolloutPlan) =>
  made.actions.map((action) =>
    action.kind === 'ReplaceSpec'
      ? `${action.node} ${action.spec.action} ${action.spec.giveBackTo}`
      : `${action.node} ${action.kind}`,
  );

describe('a profile that gives its nodes back', () => {
  it('asks within maxUnavailable, to wait for kube-proxy where that was kept off', () => {
    assert.deepEqual(actions(plan([state('n1'), state('n2')])), ['n1 Release kube-proxy']);
    assert.deepEqual(actions(plan([state('n1')], [node('n1', false)])), ['n1 Release undefined']);
  });

  it('asks the next one when one is done, and keeps asking one that does not answer', () => {
    assert.deepEqual(actions(plan([state('n1', 'done'), state('n2')])), ['n1 Delete', 'n2 Release kube-proxy']);
    assert.deepEqual(actions(plan([state('n1', 'asked'), state('n2')])), []);
  });

  it('grants nothing to nodes that have been given back', () => {
    const made = plan([]);
    assert.deepEqual(actions(made), []);
    assert.equal(progress(made), 'GivenBack');
    assert.equal(made.profiles[0]?.status.revision, undefined);
  });

  it('asks nobody while it is paused', () => {
    const made = plan([state('n1'), state('n2')], undefined, { paused: true });
    assert.deepEqual(actions(made), []);
    assert.equal(progress(made), 'GivingBack');
  });
});

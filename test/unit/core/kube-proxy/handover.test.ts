import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_NODE_LABEL } from '../../../../src/core/api/kube-proxy-config.ts';
import { renderedConfig, type NodeProxyState } from '../../../../src/core/api/node-proxy-state.ts';
import { proxyProfileSpec, type ProxyProfile } from '../../../../src/core/api/proxy-profile.ts';
import { isKeptOff, planHandover } from '../../../../src/core/kube-proxy/handover.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const AT = '2026-01-01T00:00:00Z';
const LATER = '2026-01-01T00:05:00Z';

const profile = (kubeProxy: object = {}): ProxyProfile => ({
  apiVersion: 'switchyard.dev/v1alpha1',
  kind: 'ProxyProfile',
  metadata: { name: 'p', uid: 'p-uid' },
  spec: proxyProfileSpec.parse({ mode: 'nftables', kubeProxy }),
});

interface Told {
  readonly phase?: NonNullable<NonNullable<NodeProxyState['status']>['attempt']>['phase'];
  readonly serves?: boolean;
  readonly action?: 'Release';
  readonly deadlineAt?: string;
  readonly attemptId?: string;
  readonly cannotRead?: boolean;
}

const UNREAD = [
  { type: 'DataplaneSynced', status: 'False', reason: 'InputsStale', message: '', lastTransitionTime: AT } as const,
];

const state = ({
  phase,
  serves = false,
  action,
  deadlineAt = LATER,
  attemptId = 'r-1',
  cannotRead = false,
}: Told): NodeProxyState => ({
  apiVersion: 'switchyard.dev/v1alpha1',
  kind: 'NodeProxyState',
  metadata: { name: 'n1' },
  spec: {
    nodeName: 'n1',
    nodeUID: 'n1-uid',
    profile: { name: 'p', uid: 'p-uid', generation: 1 },
    revision: 'r',
    rendered: renderedConfig.parse({ mode: 'nftables' }),
    ...(action === undefined ? {} : { action }),
    attempt: { id: 'r-1', grantedAt: AT, deadlineAt },
  },
  status: {
    ...(phase === undefined ? {} : { attempt: { id: attemptId, phase, startedAt: AT } }),
    ...(cannotRead ? { conditions: UNREAD } : {}),
    ...(serves ? { current: { revision: 'r', mode: 'nftables' as const, since: AT } } : {}),
  },
});

const node = (labels: Record<string, string> = {}) => ({ metadata: { name: 'n1', uid: 'n1-uid', labels } });

describe('whether kube-proxy is kept off a node', () => {
  const TABLE: readonly { name: string; told: Told; expected: boolean | undefined }[] = [
    { name: 'the agent has not begun', told: {}, expected: undefined },
    { name: 'the agent programs', told: { phase: 'Program' }, expected: undefined },
    { name: 'the agent serves beside it and waits', told: { phase: 'AwaitHandover' }, expected: true },
    { name: 'the agent waits past its deadline', told: { phase: 'AwaitHandover', deadlineAt: AT }, expected: false },
    {
      name: 'the agent waits and cannot read Services',
      told: { phase: 'AwaitHandover', cannotRead: true },
      expected: undefined,
    },
    {
      name: 'the agent cannot, past its deadline',
      told: { phase: 'AwaitHandover', cannotRead: true, deadlineAt: AT },
      expected: false,
    },
    { name: 'another attempt waited', told: { phase: 'AwaitHandover', attemptId: 'r-0' }, expected: undefined },
    { name: 'the agent serves alone and is not done', told: { phase: 'Soak' }, expected: true },
    { name: 'the agent serves', told: { phase: 'Committed', serves: true }, expected: true },
    { name: 'the agent goes back to it', told: { phase: 'AwaitReturn' }, expected: false },
    { name: 'the agent went back to it', told: { phase: 'RolledBack' }, expected: false },
    { name: 'the agent went back to a mode of ours', told: { phase: 'RolledBack', serves: true }, expected: true },
    { name: 'the agent is to give back', told: { serves: true, action: 'Release' }, expected: false },
  ];
  for (const { name, told, expected } of TABLE) {
    it(`${name}: ${String(expected)}`, () => assert.equal(isKeptOff(state(told), NOW), expected));
  }
});

describe('the plan for kube-proxy', () => {
  const plan = (told: Told | undefined, labels: Record<string, string> = {}, kubeProxy: object = {}) =>
    planHandover({
      profiles: [profile(kubeProxy)],
      nodes: [node(labels)],
      states: told === undefined ? [] : [state(told)],
      nowMs: NOW,
    });

  it('touches nothing while no agent waits', () => {
    const { labels, sets } = plan({ phase: 'Program' });
    assert.deepEqual(labels, []);
    assert.deepEqual(
      sets.map(({ present }) => present),
      [false],
    );
  });

  it('keeps the DaemonSet off and labels the node', () => {
    const { labels, sets, counts } = plan({ phase: 'AwaitHandover' });
    assert.deepEqual(labels, [{ node: 'n1', label: DEFAULT_NODE_LABEL, present: true }]);
    assert.deepEqual(sets, [
      { namespace: 'kube-system', name: 'kube-proxy', label: DEFAULT_NODE_LABEL, present: true, profiles: ['p'] },
    ]);
    assert.deepEqual([...counts], [['p', 1]]);
  });

  it('says the same again, and changes nothing again', () => {
    const { labels, sets } = plan({ serves: true }, { [DEFAULT_NODE_LABEL]: 'true' });
    assert.deepEqual(labels, []);
    assert.equal(sets[0]?.present, true);
  });

  it('gives back: the label first, the DaemonSet when the node is done', () => {
    const first = plan({ serves: true, action: 'Release' }, { [DEFAULT_NODE_LABEL]: 'true' });
    assert.deepEqual(first.labels, [{ node: 'n1', label: DEFAULT_NODE_LABEL, present: false }]);
    assert.equal(first.sets[0]?.present, true);
    assert.equal(plan({ serves: true, action: 'Release' }).sets[0]?.present, true);
    assert.equal(plan(undefined).sets[0]?.present, false);
  });

  it('waits for a node that does not answer while the profile stays, and not when it goes', () => {
    const silent = { serves: true, action: 'Release', deadlineAt: AT } as const;
    const of = (metadata: object): boolean | undefined => {
      const given = profile({});
      const profiles = [{ ...given, metadata: { ...given.metadata, ...metadata } }];
      return planHandover({ profiles, nodes: [node()], states: [state(silent)], nowMs: NOW }).sets[0]?.present;
    };
    assert.deepEqual([of({}), of({ deletionTimestamp: AT })], [true, false]);
  });

  it('follows the names that the profile gives', () => {
    const { labels, sets } = plan(
      { phase: 'AwaitHandover' },
      {},
      { namespace: 'proxies', daemonSets: ['a', 'b'], nodeLabel: 'example.org/off' },
    );
    assert.deepEqual(labels, [{ node: 'n1', label: 'example.org/off', present: true }]);
    assert.deepEqual(
      sets.map(({ namespace, name, present }) => `${namespace}/${name} ${present}`),
      ['proxies/a true', 'proxies/b true'],
    );
  });

  it('leaves the label of a profile that was deleted and keeps its nodes', () => {
    const { labels } = planHandover({
      profiles: [],
      nodes: [node({ [DEFAULT_NODE_LABEL]: 'true' })],
      states: [state({ serves: true })],
      nowMs: NOW,
    });
    assert.deepEqual(labels, []);
  });

  it('takes the label off a node that has no state', () => {
    const { labels } = plan(undefined, { [DEFAULT_NODE_LABEL]: 'true' });
    assert.deepEqual(labels, [{ node: 'n1', label: DEFAULT_NODE_LABEL, present: false }]);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  renderedConfig,
  type NodeProxyState,
  type NodeProxyStateStatus,
} from '../../../src/core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../../src/core/api/proxy-profile.ts';
import { isRolledOut, listNodeProgress, loadProgress } from '../../../src/sandbox/demo/progress.ts';
import { planLoads, SERVICES, TESTBED } from '../../../src/sandbox/demo/story.ts';
import { isSuccess, renderFailures, summarise } from '../../../src/sandbox/demo/summary.ts';
import { describeChanges, renderTable } from '../../../src/sandbox/demo/table.ts';
import type { LoadReport, TargetReport } from '../../../src/sandbox/traffic/traffic.ts';
import { noOutcomes } from '../../../src/sandbox/traffic/tally.ts';

const AT = '2026-01-01T00:00:00Z';

function state(status: NodeProxyStateStatus | undefined, attempt?: string): NodeProxyState {
  return {
    apiVersion: 'switchyard.dev/v1alpha1',
    kind: 'NodeProxyState',
    metadata: { name: 'n1', generation: 2 },
    spec: {
      nodeName: 'n1',
      nodeUID: 'u',
      profile: { name: 'fleet', uid: 'p', generation: 2 },
      revision: 'new',
      rendered: renderedConfig.parse({ mode: 'nftables' }),
      ...(attempt === undefined ? {} : { attempt: { id: attempt, grantedAt: AT, deadlineAt: AT } }),
    },
    ...(status === undefined ? {} : { status }),
  };
}
const ready = (status: 'True' | 'False', reason: string): NodeProxyStateStatus['conditions'] => [
  { type: 'Ready', status, reason, message: '', lastTransitionTime: AT },
];
const old = { revision: 'old', mode: 'iptables', since: AT } as const;
const current = { revision: 'new', mode: 'nftables', since: AT } as const;

describe('progress of a node', () => {
  const cases = [
    { name: 'nobody has heard of it', state: undefined, mode: '-', step: 'not managed yet' },
    { name: 'the agent has said nothing', state: state(undefined), mode: '-', step: 'waiting for its turn' },
    {
      name: 'it runs the old revision without a slot',
      state: state({ current: old, conditions: ready('True', 'Ready') }),
      mode: 'iptables',
      step: 'waiting for its turn',
    },
    { name: 'it has just got its slot', state: state({ current: old }, 'new-1'), mode: 'iptables', step: 'starting' },
    {
      name: 'it is on its way',
      state: state({ current: old, attempt: { id: 'new-1', phase: 'Verify', startedAt: AT } }, 'new-1'),
      mode: 'iptables',
      step: 'Verify',
    },
    {
      name: 'its former attempt is over',
      state: state({ current: old, attempt: { id: 'old-1', phase: 'Committed', startedAt: AT } }, 'new-1'),
      mode: 'iptables',
      step: 'starting',
    },
    {
      name: 'it runs the revision and is not ready',
      state: state({ current, conditions: ready('False', 'StaleProgramming') }, 'new-1'),
      mode: 'nftables',
      step: 'StaleProgramming',
    },
    {
      name: 'it serves',
      state: state({ current, conditions: ready('True', 'Ready') }, 'new-1'),
      mode: 'nftables',
      step: 'serving',
    },
  ];
  for (const { name, state, mode, step } of cases) {
    it(`is told when ${name}`, () => {
      const states = new Map(state === undefined ? [] : [['n1', state] as const]);
      assert.deepEqual(listNodeProgress(['n1'], states), [{ name: 'n1', mode, step, isReady: step === 'serving' }]);
    });
  }
});

describe('a rollout is done', () => {
  const serving = { name: 'n1', mode: 'nftables', step: 'serving', isReady: true };
  const profile = (changes: {
    mode?: 'iptables' | 'nftables';
    observed?: number;
    available?: 'True' | 'False';
    updated?: number;
  }): ProxyProfile => {
    const { mode = 'nftables', observed = 2, available = 'True', updated = 1 } = changes;
    const nodes = { matched: 1, updated, ready: 1, inProgress: 0, failed: 0, waiting: 0, skipped: 0 };
    const condition = {
      type: 'Available',
      status: available,
      reason: 'AllNodesReady',
      message: '',
      lastTransitionTime: AT,
    };
    return {
      metadata: { name: 'fleet', generation: 2 },
      spec: { mode },
      status: { observedGeneration: observed, nodes, conditions: [condition] },
    } as unknown as ProxyProfile;
  };
  const cases = [
    { name: 'when node and controller agree', nodes: [serving], profile: profile({}), done: true },
    { name: 'not without nodes', nodes: [], profile: profile({}), done: false },
    { name: 'not without a profile', nodes: [serving], profile: undefined, done: false },
    {
      name: 'not while a node serves in the old mode',
      nodes: [{ ...serving, mode: 'iptables' }],
      profile: profile({}),
      done: false,
    },
    {
      name: 'not while a node is not ready',
      nodes: [{ ...serving, isReady: false }],
      profile: profile({}),
      done: false,
    },
    {
      name: 'not before the controller has seen the edit',
      nodes: [serving],
      profile: profile({ observed: 1 }),
      done: false,
    },
    { name: 'not while a node is not updated', nodes: [serving], profile: profile({ updated: 0 }), done: false },
    { name: 'not while unavailable', nodes: [serving], profile: profile({ available: 'False' }), done: false },
    { name: 'not for another mode', nodes: [serving], profile: profile({ mode: 'iptables' }), done: false },
  ];
  for (const { name, nodes, profile, done } of cases) {
    it(name, () => assert.equal(isRolledOut('nftables', nodes, profile), done));
  }
});

describe('the story', () => {
  it('names only hosts that the testbed has', () => {
    const hosts = TESTBED.nodes.flatMap(({ name, pods }) => [
      name,
      ...Array.from({ length: pods }, (_, pod) => `${name}-p${pod + 1}`),
    ]);
    for (const { host } of planLoads(() => '192.0.2.1')) assert.ok([...hosts, 'outside'].includes(host), host);
    for (const { backends } of SERVICES) for (const pod of backends) assert.ok(hosts.includes(pod), pod);
  });

  it('opens and holds TCP and UDP flows to ClusterIP and NodePort, from a pod, a node and outside', () => {
    const targets = planLoads((host) => host).flatMap(({ spec }) => spec.targets);
    for (const protocol of ['TCP', 'UDP']) {
      const ports = targets.filter((target) => target.protocol === protocol && target.perSecond > 0 && target.held > 0);
      assert.ok(ports.some(({ port }) => port < 30_000), protocol); // oxfmt-ignore
      assert.ok(ports.some(({ port }) => port >= 30_000), protocol); // oxfmt-ignore
    }
  });
});

describe('the summary', () => {
  const target = (counts: Partial<TargetReport>): TargetReport => ({
    name: 't',
    protocol: 'TCP',
    attempts: 0,
    outcomes: noOutcomes(),
    pending: 0,
    heldOpen: 0,
    heldExchanges: 0,
    backends: {},
    slowestMs: 0,
    ...counts,
  });
  const report: LoadReport = {
    targets: [
      target({ attempts: 10, pending: 2, outcomes: { ...noOutcomes(), ok: 7, 'wrong-backend': 1 }, heldOpen: 2 }),
      target({ attempts: 5, outcomes: { ...noOutcomes(), ok: 3, 'broken-flow': 1, refused: 1 }, heldExchanges: 40 }),
    ],
    failures: [],
    synRetransmits: 1,
  };

  it('counts everything that ended other than ok as failed, and nothing that is under way', () => {
    assert.deepEqual(loadProgress('l', report), {
      name: 'l',
      connections: 15,
      failed: 3,
      heldOpen: 2,
      heldExchanges: 40,
      synRetransmits: 1,
      failures: [],
    });
  });

  const load = { name: 'l', connections: 9, failed: 0, heldOpen: 0, heldExchanges: 3, synRetransmits: 0, failures: [] };
  const node = { name: 'n1', mode: 'nftables', step: 'serving', isReady: true };
  const input = { modes: { n1: 'nftables' }, loads: [load], switchSeconds: 1.26, endpointChanges: 4 };
  const verdicts = [
    { name: 'all went well', input, kept: true },
    { name: 'a connection failed', input: { ...input, loads: [load, { ...load, failed: 1 }] }, kept: false },
    { name: 'a node stayed behind', input: { ...input, modes: { n1: 'nftables', n2: 'iptables' } }, kept: false },
    { name: 'nothing was tried', input: { ...input, loads: [] }, kept: false },
    { name: 'old rules were left', input: { ...input, modes: { n1: 'nftables and iptables' } }, kept: false },
    { name: 'there were no nodes', input: { ...input, modes: {} }, kept: false },
  ];
  for (const { name, input, kept } of verdicts) {
    it(`${kept ? 'keeps' : 'breaks'} the promise when ${name}`, () => assert.equal(isSuccess(summarise(input)), kept));
  }

  it('has the fields that scripts read', () => {
    const { connections, failed, nodes, switchSeconds } = summarise(input);
    assert.deepEqual(
      { connections, failed, nodes, switchSeconds },
      { connections: 9, failed: 0, nodes: { n1: 'nftables' }, switchSeconds: 1.3 },
    );
  });

  it('lists failures of all loads in the order in which they happened', () => {
    const failure = (target: string, at: number) => ({ target, outcome: 'reset', detail: 'why', at }) as const;
    const loads = [
      { ...load, name: 'a', failures: [failure('x', 2_000), failure('y', 4_000)] },
      { ...load, name: 'b', failures: [failure('z', 3_000)] },
    ];
    assert.deepEqual(renderFailures(loads), [
      '  00:00:02.000 a, x: reset (why)',
      '  00:00:03.000 b, z: reset (why)',
      '  00:00:04.000 a, y: reset (why)',
    ]);
  });

  it('shows every node and load in the table', () => {
    const broken = { ...load, connections: 1234, failed: 5 };
    const lines = renderTable({ elapsed: '7 s', nodes: [node], loads: [load, broken], endpointChanges: 2 });
    const shown = lines.filter(({ tone }) => tone !== 'plain').map(({ text, tone }) => [tone, text.trim().split(/ +/)]);
    assert.deepEqual(shown, [
      ['good', ['n1', 'nftables', 'serving']],
      ['bad', ['l', '1,234', '5', '0', '3']],
    ]);
    assert.ok(lines.some(({ text }) => text.includes('7 s, 2 endpoint changes')));
    assert.ok(lines.every(({ text }) => text.length < 80));
  });

  it('tells a change of a node once', () => {
    assert.deepEqual(describeChanges([], [node]), ['n1: nftables, serving']);
    assert.deepEqual(describeChanges([node], [node]), []);
    assert.deepEqual(describeChanges([node], [{ ...node, step: 'Verify' }]), ['n1: nftables, Verify']);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  NODE_PROXY_STATE_CONDITIONS,
  nodeProxyStateStatus,
  renderedConfig,
  type NodeProxyStateStatus,
} from '../../../../src/core/api/node-proxy-state.ts';
import type { Condition } from '../../../../src/core/api/meta.ts';
import type { Attempt, Serving } from '../../../../src/core/node/mode-switch.ts';
import { NO_SETTINGS } from '../../../../src/core/node/settings-status.ts';
import { nodeStatus, type NodeFacts } from '../../../../src/core/node/node-status.ts';

const old: Serving = { revision: 'r1', config: renderedConfig.parse({ mode: 'iptables' }) };
const current: Serving = { revision: 'r2', config: renderedConfig.parse({ mode: 'nftables' }) };
const wanted = { mode: 'nftables', revision: 'r2' } as const;

const attempt: Attempt = {
  id: 'r2-1',
  from: old,
  to: current,
  phase: 'Verify',
  takesOver: false,
  handoverBy: 'controller',
  startedAtMs: 1_000,
  deadlineAtMs: null,
  baseline: [{ name: 'ClusterDNS', result: 'Pass', message: '' }],
  failure: null,
};
const failure = { phase: 'Verify', code: 'VerifyFailed', message: 'map endpoints is missing' } as const;

const serving: NodeFacts = {
  nowMs: 10_000,
  generation: 3,
  wanted,
  agent: { version: '0.1.0', bootID: 'b' },
  preflight: { kernel: '6.1', modes: ['iptables', 'nftables'], missing: [], lacks: [], tools: [], warnings: [] },
  serving: current,
  servingSinceMs: 5_000,
  attempt: { ...attempt, phase: 'Committed' },
  lastSyncMs: 9_000,
  syncError: null,
  services: 4,
  endpoints: 7,
  drift: 'none',
  draining: null,
  settings: NO_SETTINGS,
  isStale: false,
  recalledAtMs: null,
  unread: [],
  leftovers: null,
  release: null,
  handoverNote: null,
  probes: [{ name: 'ClusterDNS', result: 'Pass', message: '' }],
};

const UNREAD = {
  what: 'EndpointSlices',
  problem: 'forbidden',
  isRefused: true,
  sinceAtMs: 0,
  sinceMs: 0,
  deniedSinceMs: 0,
};

type Expected = Partial<Record<(typeof NODE_PROXY_STATE_CONDITIONS)[number], [status: string, reason: string]>>;

const TABLE: readonly { name: string; facts: Partial<NodeFacts>; expected: Expected }[] = [
  { name: 'serves', facts: {}, expected: { Ready: ['True', 'Ready'], Applied: ['True', 'RevisionApplied'] } },
  {
    name: 'not started',
    facts: { serving: old, attempt: null },
    expected: { Ready: ['False', 'Applying'], DataplaneSynced: ['True', 'InSync'] },
  },
  { name: 'on its way', facts: { serving: old, attempt }, expected: { Ready: ['False', 'Applying'] } },
  {
    name: 'went back',
    facts: { serving: old, attempt: { ...attempt, phase: 'RolledBack', failure } },
    expected: {
      Ready: ['True', 'ServesLastGood'],
      Applied: ['False', 'VerifyFailed'],
      RolledBack: ['True', 'VerifyFailed'],
    },
  },
  {
    name: 'way back failed',
    facts: { serving: old, attempt: { ...attempt, phase: 'Failed', failure: { ...failure, code: 'RollbackFailed' } } },
    expected: { Ready: ['False', 'RollbackFailed'], RolledBack: ['False', 'RollbackFailed'] },
  },
  {
    name: 'cannot run the mode',
    facts: {
      preflight: {
        kernel: '5.4',
        modes: ['iptables'],
        missing: ['needs 5.13'],
        lacks: [{ reason: 'KernelTooOld', message: 'needs 5.13' }],
        tools: [],
        warnings: [],
      },
    },
    expected: { PreflightPassed: ['False', 'KernelTooOld'], Ready: ['False', 'KernelTooOld'] },
  },
  {
    name: 'somebody flushed our table',
    facts: { drift: 'recent' },
    expected: { Drifted: ['True', 'RulesTampered'], Ready: ['True', 'Ready'] },
  },
  {
    name: 'the kernel refuses the newest rules',
    facts: { syncError: 'ENOSPC' },
    expected: { DataplaneSynced: ['False', 'SyncFailing'], Ready: ['False', 'SyncFailing'] },
  },
  {
    name: 'serves what was known last',
    facts: { isStale: true },
    expected: { DataplaneSynced: ['False', 'StaleProgramming'], Ready: ['False', 'StaleProgramming'] },
  },
  {
    name: 'cannot read what it programs',
    facts: { unread: [UNREAD] },
    expected: { DataplaneSynced: ['False', 'InputsStale'], Ready: ['False', 'InputsStale'] },
  },
  {
    name: 'serves what was known last, since it may not read',
    facts: { isStale: true, unread: [UNREAD] },
    expected: { DataplaneSynced: ['False', 'InputsStale'] },
  },
  {
    name: 'cannot read, nor write to the kernel',
    facts: { syncError: 'ENOSPC', unread: [UNREAD] },
    expected: { DataplaneSynced: ['False', 'SyncFailing'] },
  },
  {
    name: 'is released',
    facts: { serving: null, attempt: null, release: { isDone: true, problem: null } },
    expected: { Applied: ['False', 'Released'], Ready: ['False', 'Released'] },
  },
  {
    name: 'runs beside another proxy',
    facts: {
      settings: { ...NO_SETTINGS, otherProxy: { kind: 'kube-proxy', isRunning: true, traces: ['link kube-ipvs0'] } },
    },
    expected: { PreflightPassed: ['True', 'UnmanagedProxyRunning'], Ready: ['True', 'Ready'] },
  },
  {
    name: 'somebody changed a setting',
    facts: { settings: { ...NO_SETTINGS, drift: { reason: 'SysctlOverridden', message: 'x' } } },
    expected: { Drifted: ['True', 'SysctlOverridden'], Ready: ['True', 'Ready'] },
  },
  {
    name: 'tracks too many connections',
    facts: { settings: { ...NO_SETTINGS, conntrack: { max: 10, buckets: 4, health: 'nearlyFull' } } },
    expected: { ConntrackHealthy: ['False', 'TableNearlyFull'], Ready: ['True', 'Ready'] },
  },
  {
    name: 'lost its originals',
    facts: { settings: { ...NO_SETTINGS, problems: ['damaged'] } },
    expected: { StateKept: ['False', 'NotKept'], Ready: ['True', 'Ready'] },
  },
  {
    name: 'nothing programmed yet',
    facts: { serving: null, attempt: null, lastSyncMs: null },
    expected: { DataplaneSynced: ['False', 'NeverSynced'], Ready: ['False', 'Applying'] },
  },
];

describe('status of a node', () => {
  for (const { name, facts, expected } of TABLE) {
    it(name, () => {
      const status: NodeProxyStateStatus = nodeStatus({ ...serving, ...facts }, undefined);
      assert.doesNotThrow(() => nodeProxyStateStatus.parse(status));
      assert.deepEqual(
        status.conditions?.map((condition) => condition.type),
        [...NODE_PROXY_STATE_CONDITIONS],
      );
      for (const [type, [value, reason]] of Object.entries(expected)) {
        const condition: Condition | undefined = status.conditions?.find((each) => each.type === type);
        assert.deepEqual([condition?.status, condition?.reason], [value, reason], type);
      }
    });
  }

  it('keeps the time of a condition that did not change, and of a failure that is the same', () => {
    const back = { ...serving, serving: old, attempt: { ...attempt, phase: 'RolledBack', failure } as const };
    const first = nodeStatus(back, undefined);
    assert.deepEqual(nodeStatus({ ...back, nowMs: 99_000 }, first), first);
  });

  it('keeps what probes said until this life of the agent has tried them, but not on a node that serves nothing', () => {
    const before = nodeStatus({ ...serving, leftovers: { left: [], unseen: [] } }, undefined);
    assert.deepEqual(
      before.probes?.map(({ name, result }) => `${name} ${result}`),
      ['ClusterDNS Pass', 'NoLeftovers Pass'],
    );
    const restarted = { ...serving, nowMs: 99_000, probes: [], leftovers: null };
    assert.deepEqual(nodeStatus(restarted, before).probes, before.probes);
    assert.deepEqual(nodeStatus({ ...restarted, serving: null }, before).probes, undefined);
  });

  it('says why it never came to hold the rules', () => {
    const { conditions } = nodeStatus({ ...serving, ...STARTED, serving: null, unread: [UNREAD] }, undefined);
    const synced = conditions?.find(({ type }) => type === 'DataplaneSynced');
    assert.equal(synced?.reason, 'NeverSynced');
    assert.match(synced.message, /cannot read EndpointSlices since 1970-01-01T00:00:00Z \(forbidden\)/);
  });

  it('remembers the last failure after the next attempt succeeds', () => {
    const back = { ...serving, serving: old, attempt: { ...attempt, phase: 'RolledBack', failure } as const };
    const status = nodeStatus(serving, nodeStatus(back, undefined));
    assert.equal(status.lastFailure?.code, 'VerifyFailed');
    assert.equal(status.lastFailure.rolledBack, true);
  });
});

const STARTED: Pick<NodeFacts, 'lastSyncMs' | 'services' | 'endpoints'> = {
  lastSyncMs: null,
  services: 0,
  endpoints: 0,
};
const RESTARTS: readonly {
  name: string;
  facts: Partial<NodeFacts>;
  before?: Partial<NodeFacts>;
  expected: [status: string, reason: string];
  keepsDataplane: boolean;
}[] = [
  { name: 'its rules stand', facts: { recalledAtMs: 10_000 }, expected: ['True', 'InSync'], keepsDataplane: true },
  {
    name: 'its rules stand, and it may not read',
    facts: { recalledAtMs: 10_000, unread: [UNREAD] },
    expected: ['False', 'InputsStale'],
    keepsDataplane: true,
  },
  { name: 'its rules are gone', facts: {}, expected: ['False', 'NeverSynced'], keepsDataplane: false },
  {
    name: 'its rules stand, and are not compared for long',
    facts: { recalledAtMs: 10_000, nowMs: 70_000 },
    expected: ['False', 'NeverSynced'],
    keepsDataplane: true,
  },
  {
    name: 'its rules stand, and were not right before',
    facts: { recalledAtMs: 10_000 },
    before: { syncError: 'ENOSPC' },
    expected: ['False', 'NeverSynced'],
    keepsDataplane: true,
  },
  {
    name: 'the kernel refuses what it compared',
    facts: { recalledAtMs: 10_000, syncError: 'ENOSPC' },
    expected: ['False', 'SyncFailing'],
    keepsDataplane: true,
  },
];

describe('status of a node whose agent has started anew', () => {
  for (const { name, facts, before = {}, expected, keepsDataplane } of RESTARTS) {
    it(name, () => {
      const said = nodeStatus({ ...serving, ...before }, undefined);
      const status = nodeStatus({ ...serving, ...STARTED, ...facts }, said);
      const synced = status.conditions?.find(({ type }) => type === 'DataplaneSynced');
      assert.deepEqual([synced?.status, synced?.reason], expected);
      assert.equal(status.conditions?.find(({ type }) => type === 'Ready')?.status, expected[0]);
      assert.deepEqual(status.dataplane, keepsDataplane ? said.dataplane : undefined);
    });
  }
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeProxyStateStatus } from '../../../../src/core/api/node-proxy-state.ts';
import { nodeEvents } from '../../../../src/core/node/node-events.ts';

type Status = NodeProxyStateStatus;

const AT = '2026-01-01T00:00:00Z';
const LATER = '2026-01-01T00:01:00Z';
const wanted = { revision: 'r2', rendered: { mode: 'nftables' }, attempt: { id: 'r2-1' } };
const condition = (type: string, status: 'True' | 'False', reason: string) => ({
  type,
  status,
  reason,
  message: `${reason} it is`,
  lastTransitionTime: AT,
  observedGeneration: 2,
});
const attempt = (phase: NonNullable<Status['attempt']>['phase'], id = 'r2-1') => ({ id, phase, startedAt: AT });
const current = { revision: 'r2', mode: 'nftables', since: AT } as const;
const failure = { revision: 'r2', phase: 'Verify', code: 'VerifyFailed', message: 'no map', rolledBack: true } as const;
const served: Status = {
  attempt: attempt('Committed', 'r1-1'),
  current: { ...current, mode: 'iptables', revision: 'r1' },
  conditions: [condition('PreflightPassed', 'True', 'Supported'), condition('RolledBack', 'False', 'NotRolledBack')],
};

const TABLE: readonly {
  readonly name: string;
  readonly before?: Status;
  readonly after: Status;
  readonly expected: readonly string[];
}[] = [
  { name: 'nothing new', before: served, after: served, expected: [] },
  {
    name: 'an attempt that begins',
    before: served,
    after: { ...served, attempt: attempt('Preflight') },
    expected: [
      'Normal SwitchStarted: attempt r2-1 begins to bring the node to nftables mode, revision r2; iptables mode serves',
    ],
  },
  {
    name: 'a whole attempt between two statuses',
    after: { attempt: attempt('Committed'), current },
    expected: [
      'Normal SwitchStarted: attempt r2-1 begins to bring the node to nftables mode, revision r2; nothing served before',
      'Normal SwitchCommitted: the node serves in nftables mode, revision r2',
    ],
  },
  {
    name: 'nothing of an old attempt, where the state was made anew under an agent that serves',
    after: { ...served, current, lastFailure: { ...failure, at: AT } },
    expected: [],
  },
  {
    name: 'a way back',
    before: { ...served, attempt: attempt('Verify') },
    after: {
      ...served,
      attempt: attempt('RolledBack'),
      lastFailure: { ...failure, at: LATER },
      conditions: [condition('RolledBack', 'True', 'VerifyFailed')],
    },
    expected: [
      'Warning SwitchFailed: revision r2 failed in phase Verify, VerifyFailed: no map',
      'Warning NodeRolledBack: VerifyFailed it is',
    ],
  },
  {
    name: 'a failure that is known already, tried again',
    before: { attempt: attempt('Preflight'), lastFailure: { ...failure, at: AT } },
    after: { attempt: attempt('RolledBack'), lastFailure: { ...failure, at: AT } },
    expected: [],
  },
  {
    name: 'a way back that fails',
    before: { attempt: attempt('RollingBack') },
    after: { attempt: attempt('Failed'), conditions: [condition('RolledBack', 'False', 'RollbackFailed')] },
    expected: [
      'Warning RollbackFailed: the way back failed, and both modes are left as they are: RollbackFailed it is',
    ],
  },
  {
    name: 'something missing',
    before: served,
    after: { ...served, conditions: [condition('PreflightPassed', 'False', 'ModuleMissing')] },
    expected: ['Warning ModuleMissing: ModuleMissing it is'],
  },
  {
    name: 'a condition that stays False for another reason',
    before: { conditions: [condition('ConntrackHealthy', 'False', 'TableNearlyFull')] },
    after: { conditions: [condition('ConntrackHealthy', 'False', 'ConnectionsDropped')] },
    expected: ['Warning ConnectionsDropped: ConnectionsDropped it is'],
  },
  {
    name: 'settings that drifted, which are told of one by one',
    before: served,
    after: { ...served, conditions: [condition('Drifted', 'True', 'SysctlOverridden')] },
    expected: [],
  },
  {
    name: 'a node that waits to be programmed for the first time',
    after: {
      conditions: [condition('DataplaneSynced', 'False', 'NeverSynced'), condition('Drifted', 'False', 'NoDrift')],
    },
    expected: [],
  },
];

describe('the events of a node', () => {
  for (const { name, before, after, expected } of TABLE) {
    it(`tell of ${name}`, () => {
      const events = nodeEvents(before, after, wanted);
      assert.deepEqual(
        events.map(({ type, reason, note }) => `${type} ${reason}: ${note}`),
        expected,
      );
    });
  }
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EXIT } from '../../../src/cli/operate/exit-code.ts';
import { exitCodeOf, rolloutEnd, type Standing } from '../../../src/cli/operate/rollout-end.ts';
import type { ProxyProfile } from '../../../src/core/api/proxy-profile.ts';

/** Conditions as `Type=Status/Reason`. */
function profile(
  conditions: readonly string[],
  more: { step?: string; observed?: number; updated?: number } = {},
): ProxyProfile {
  const { step = 'Batch', observed = 2, updated = 1 } = more;
  return {
    metadata: { name: 'p', generation: 2 },
    spec: {},
    status: {
      observedGeneration: observed,
      rollout: { step, startedAt: '' },
      nodes: { matched: 3, updated, inProgress: 0 },
      conditions: conditions.map((text) => {
        const [, type, status, reason] = /^(\w+)=(\w+)\/(\w+)$/.exec(text) ?? [];
        return { type, status, reason, message: '' };
      }),
    },
  } as unknown as ProxyProfile;
}

const GOOD = ['Accepted=True/Valid', 'Degraded=False/AsExpected', 'Paused=False/Running'];

const CASES: readonly { name: string; given: ProxyProfile; standing: Standing }[] = [
  {
    name: 'a spec that the controller has not seen',
    given: profile([...GOOD, 'Progressing=False/Complete', 'Available=True/AllNodesReady'], { observed: 1 }),
    standing: 'running',
  },
  {
    name: 'all nodes done',
    given: profile([...GOOD, 'Progressing=False/Complete', 'Available=True/AllNodesReady'], { step: 'Done' }),
    standing: 'complete',
  },
  {
    name: 'done, but a node is not Ready',
    given: profile([...GOOD, 'Progressing=False/Complete', 'Available=False/NodesNotReady']),
    standing: 'running',
  },
  {
    name: 'a canary',
    given: profile([...GOOD, 'Progressing=True/CanaryRunning', 'Available=False/RolloutIncomplete']),
    standing: 'running',
  },
  { name: 'outside its window', given: profile([...GOOD, 'Progressing=False/OutsideWindow']), standing: 'running' },
  { name: 'two profiles for one node', given: profile(['Accepted=False/SelectorConflict']), standing: 'failed' },
  { name: 'no node', given: profile(['Accepted=False/NoMatchingNodes']), standing: 'failed' },
  {
    name: 'rejected, on the way back',
    given: profile(['Accepted=True/Valid', 'Degraded=True/RolledBack', 'Progressing=True/RollingBack'], {
      step: 'RollingBack',
    }),
    standing: 'running',
  },
  {
    name: 'rejected, and back',
    given: profile(['Accepted=True/Valid', 'Degraded=True/RolledBack', 'Progressing=False/Rejected'], {
      step: 'Done',
      updated: 0,
    }),
    standing: 'rolledBack',
  },
  {
    name: 'rejected, and cannot go back',
    given: profile(['Accepted=True/Valid', 'Degraded=True/RollbackFailed']),
    standing: 'failed',
  },
  {
    name: 'paused by a person',
    given: profile([
      'Accepted=True/Valid',
      'Degraded=False/AsExpected',
      'Paused=True/UserRequested',
      'Progressing=False/Paused',
    ]),
    standing: 'waiting',
  },
  {
    name: 'waiting for approval',
    given: profile(['Accepted=True/Valid', 'Paused=True/AwaitingApproval', 'Progressing=False/Paused']),
    standing: 'waiting',
  },
  {
    name: 'stopped by failures, nothing to go back to',
    given: profile([
      'Accepted=True/Valid',
      'Degraded=True/FailureBudgetSpent',
      'Paused=True/FailureBudgetSpent',
      'Progressing=False/FailureBudgetSpent',
    ]),
    standing: 'failed',
  },
  {
    name: 'too many nodes cannot run the mode',
    given: profile([...GOOD, 'Progressing=False/PreflightFailed']),
    standing: 'failed',
  },
  { name: 'a dry run', given: profile([...GOOD, 'Progressing=False/DryRun']), standing: 'held' },
  {
    name: 'no status yet',
    given: { metadata: { name: 'p' }, spec: {} } as unknown as ProxyProfile,
    standing: 'running',
  },
];

describe('rolloutEnd', () => {
  for (const { name, given, standing } of CASES) {
    it(`${name}: ${standing}`, () => assert.equal(rolloutEnd(given).standing, standing));
  }
});

describe('exitCodeOf', () => {
  const cases: readonly { of: readonly Standing[]; code: number | undefined }[] = [
    { of: ['complete', 'complete'], code: EXIT.ok },
    { of: ['complete', 'running'], code: undefined },
    { of: ['failed', 'running'], code: EXIT.failed },
    { of: ['rolledBack', 'complete'], code: EXIT.rolledBack },
    { of: ['waiting', 'complete'], code: EXIT.waiting },
    { of: ['held'], code: EXIT.waiting },
    { of: ['waiting', 'rolledBack'], code: EXIT.rolledBack },
  ];
  for (const { of, code } of cases) {
    it(`${of.join(' and ')}: ${code ?? 'goes on'}`, () => {
      assert.equal(exitCodeOf(of.map((standing) => ({ standing, reason: '', message: '' }))), code);
    });
  }
});

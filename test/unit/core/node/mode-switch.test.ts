import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ATTEMPT_PHASES, renderedConfig, type AttemptPhase } from '../../../../src/core/api/node-proxy-state.ts';
import { advance, expire, isOver, startAttempt, stepOf, type Attempt } from '../../../../src/core/node/mode-switch.ts';

const started = startAttempt({
  id: 'r2-1',
  from: { revision: 'r1', config: renderedConfig.parse({ mode: 'iptables' }) },
  to: { revision: 'r2', config: renderedConfig.parse({ mode: 'nftables' }) },
  nowMs: 1_000,
  deadlineAtMs: 2_000,
});
const at = (phase: AttemptPhase): Attempt => ({ ...started, phase });
const failed = { kind: 'stepFailed', code: 'X', message: 'no' } as const;

const TABLE: readonly { phase: AttemptPhase; done: AttemptPhase; failed: AttemptPhase; late: AttemptPhase }[] = [
  { phase: 'Preflight', done: 'Baseline', failed: 'RollingBack', late: 'RollingBack' },
  { phase: 'Baseline', done: 'Prepare', failed: 'RollingBack', late: 'RollingBack' },
  { phase: 'Prepare', done: 'Program', failed: 'RollingBack', late: 'RollingBack' },
  { phase: 'Program', done: 'Verify', failed: 'RollingBack', late: 'RollingBack' },
  { phase: 'Verify', done: 'Commit', failed: 'RollingBack', late: 'RollingBack' },
  { phase: 'AwaitHandover', done: 'Commit', failed: 'RollingBack', late: 'RollingBack' },
  { phase: 'Commit', done: 'Soak', failed: 'RollingBack', late: 'RollingBack' },
  { phase: 'Soak', done: 'Committed', failed: 'RollingBack', late: 'RollingBack' },
  { phase: 'Committed', done: 'Committed', failed: 'Committed', late: 'Committed' },
  { phase: 'AwaitReturn', done: 'RollingBack', failed: 'Failed', late: 'AwaitReturn' },
  { phase: 'RollingBack', done: 'RolledBack', failed: 'Failed', late: 'RollingBack' },
  { phase: 'RolledBack', done: 'RolledBack', failed: 'RolledBack', late: 'RolledBack' },
  { phase: 'Failed', done: 'Failed', failed: 'Failed', late: 'Failed' },
];

describe('mode switch', () => {
  it('has a row for every phase', () => {
    assert.deepEqual(new Set(TABLE.map((row) => row.phase)), new Set(ATTEMPT_PHASES));
  });

  for (const row of TABLE) {
    it(`${row.phase}: done -> ${row.done}, failed -> ${row.failed}, late -> ${row.late}`, () => {
      assert.equal(advance(at(row.phase), { kind: 'stepDone' }).phase, row.done);
      assert.equal(advance(at(row.phase), failed).phase, row.failed);
      assert.equal(expire(at(row.phase), 2_000).phase, row.late);
      assert.equal(expire(at(row.phase), 1_999).phase, row.phase);
      assert.equal(isOver(at(row.phase)), stepOf(at(row.phase)) === null);
    });
  }

  describe('taking over from kube-proxy', () => {
    const taking = (phase: AttemptPhase): Attempt => ({ ...at(phase), from: null, takesOver: true });
    const TAKING: readonly { phase: AttemptPhase; done: AttemptPhase; failed: AttemptPhase; late: AttemptPhase }[] = [
      { phase: 'Preflight', done: 'Baseline', failed: 'RollingBack', late: 'RollingBack' },
      { phase: 'Prepare', done: 'Program', failed: 'RollingBack', late: 'RollingBack' },
      { phase: 'Program', done: 'Verify', failed: 'AwaitReturn', late: 'AwaitReturn' },
      { phase: 'Verify', done: 'AwaitHandover', failed: 'AwaitReturn', late: 'AwaitReturn' },
      { phase: 'AwaitHandover', done: 'Commit', failed: 'AwaitReturn', late: 'AwaitReturn' },
      { phase: 'Commit', done: 'Soak', failed: 'AwaitReturn', late: 'AwaitReturn' },
      { phase: 'Soak', done: 'Committed', failed: 'AwaitReturn', late: 'AwaitReturn' },
      { phase: 'AwaitReturn', done: 'RollingBack', failed: 'Failed', late: 'AwaitReturn' },
      { phase: 'RollingBack', done: 'RolledBack', failed: 'Failed', late: 'RollingBack' },
    ];
    for (const row of TAKING) {
      it(`${row.phase}: done -> ${row.done}, failed -> ${row.failed}, late -> ${row.late}`, () => {
        assert.equal(advance(taking(row.phase), { kind: 'stepDone' }).phase, row.done);
        assert.equal(advance(taking(row.phase), failed).phase, row.failed);
        assert.equal(expire(taking(row.phase), 2_000).phase, row.late);
      });
    }

    it('is found in Preflight', () => {
      assert.equal(advance(at('Preflight'), { kind: 'stepDone', takesOver: true }).takesOver, true);
    });

    it('waits for a person without limit', () => {
      const byHand: Attempt = { ...taking('AwaitHandover'), handoverBy: 'person' };
      assert.equal(expire(byHand, 2_000_000).phase, 'AwaitHandover');
    });
  });

  it('keeps the first reason for going back', () => {
    const back = advance(at('Verify'), failed);
    assert.deepEqual(back.failure, { phase: 'Verify', code: 'X', message: 'no' });
    assert.equal(advance(back, { kind: 'stepDone' }).failure?.code, 'X');
    const gone = advance(back, { ...failed, message: 'busy' }).failure;
    assert.equal(gone?.code, 'RollbackFailed');
    assert.match(gone?.message ?? '', /^busy; .*Verify: no$/);
  });

  it('stays on its way back while that is tried again', () => {
    const back = advance(at('Verify'), failed);
    assert.deepEqual(advance(back, { ...failed, mayRetry: true }), back);
    assert.equal(advance(at('Verify'), { ...failed, mayRetry: true }).phase, 'RollingBack');
  });
});

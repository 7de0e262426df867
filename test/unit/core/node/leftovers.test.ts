import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { leftoverOutcome, type DrainView, type LeftoverSight } from '../../../../src/core/node/leftovers.ts';

const IPVS = { mode: 'ipvs', problem: 'EBUSY' } as const;
const IPTABLES = { mode: 'iptables', problem: 'timed out' } as const;
const CLEAN: LeftoverSight = { left: [], unseen: [] };

const TABLE: readonly {
  readonly name: string;
  readonly sight: LeftoverSight;
  readonly draining?: DrainView;
  readonly expected: string;
}[] = [
  { name: 'nothing', sight: CLEAN, expected: 'Pass: ' },
  {
    name: 'what drains',
    sight: CLEAN,
    draining: { mode: 'ipvs', sinceMs: 0, deadlineAtMs: 60_000 },
    expected:
      'Pass: ipvs mode keeps its connections until they end, at the latest 1970-01-01T00:01:00Z; see status.draining',
  },
  {
    name: 'what cannot be removed, whatever cannot be seen beside it',
    sight: { left: [IPVS], unseen: [IPTABLES] },
    expected: 'Fail: rules are left of ipvs mode (EBUSY); their removal is tried again',
  },
  {
    name: 'what cannot be seen',
    sight: { left: [], unseen: [IPTABLES] },
    expected: 'Inconclusive: cannot look for rules of iptables mode (timed out); it is tried again',
  },
];

describe('the gate NoLeftovers', () => {
  for (const { name, sight, draining = null, expected } of TABLE) {
    it(`names ${name}`, () => {
      const { result, message } = leftoverOutcome(sight, draining);
      assert.equal(`${result}: ${message}`, expected);
    });
  }
});

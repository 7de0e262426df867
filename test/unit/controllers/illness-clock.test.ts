import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { IllnessClock } from '../../../src/controllers/illness-clock.ts';
import type { NodeProxyState } from '../../../src/core/api/node-proxy-state.ts';
import { installed } from '../core/rollout/stories.ts';

const SEEN_MS = Date.parse('2026-01-02T00:00:00Z');
const WRONG = ['2020-01-01T00:00:00Z', '2031-01-01T00:00:00Z'];

describe('since when a node is ill', () => {
  let clock: IllnessClock;
  let well: NodeProxyState;

  beforeEach(() => {
    clock = new IllnessClock();
    well = installed(1, {}).states.get('n1') ?? assert.fail('no state');
  });

  const ill = (lastTransitionTime: string, extra: Partial<NodeProxyState['metadata']> = {}): NodeProxyState => ({
    ...well,
    metadata: { ...well.metadata, ...extra },
    status: {
      ...well.status,
      conditions: [{ type: 'Ready', status: 'False', reason: 'Ill', message: '', lastTransitionTime }],
      probes: [
        { name: 'ClusterDNS', result: 'Fail', at: lastTransitionTime },
        { name: 'APIServerDirect', result: 'Pass', at: lastTransitionTime },
      ],
    },
  });
  const times = ({ status }: NodeProxyState) => [
    status?.conditions?.[0]?.lastTransitionTime,
    status?.probes?.[0]?.at,
    status?.probes?.[1]?.at,
  ];

  for (const wrong of WRONG) {
    it(`is when it was first seen, whatever its clock says: ${wrong}`, () => {
      const first = '2026-01-02T00:00:00Z';
      assert.deepEqual(times(clock.stamp(ill(wrong), SEEN_MS)), [first, first, wrong]);
      assert.deepEqual(times(clock.stamp(ill(wrong), SEEN_MS + 60_000)), [first, first, wrong]);
    });
  }

  it('begins anew when it was well in between, or is another node', () => {
    clock.stamp(ill(WRONG[0] ?? ''), SEEN_MS);
    assert.equal(clock.stamp(well, SEEN_MS), well);
    assert.equal(times(clock.stamp(ill(''), SEEN_MS + 60_000))[0], '2026-01-02T00:01:00Z');
    assert.equal(times(clock.stamp(ill('', { uid: 'other' }), SEEN_MS + 90_000))[0], '2026-01-02T00:01:30Z');
    clock.forget('n1');
    assert.equal(times(clock.stamp(ill('', { uid: 'other' }), SEEN_MS + 120_000))[0], '2026-01-02T00:02:00Z');
  });
});

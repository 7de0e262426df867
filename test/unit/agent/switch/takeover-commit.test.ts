import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProgrammedMode } from '../../../../src/agent/services/programmed-mode.ts';
import { performStep, type SwitchGround } from '../../../../src/agent/switch/switch-steps.ts';
import { renderedConfig } from '../../../../src/core/api/node-proxy-state.ts';
import { startAttempt } from '../../../../src/core/node/mode-switch.ts';
import type { Difference } from '../../../../src/kernel/dataplane.ts';
import { FakeKubeProxy } from '../../../fakes/fake-kube-proxy.ts';

const LOST: readonly Difference[] = [{ object: 'address 10.96.0.10', problem: 'changed' }];

/** What is done to our IPVS mode when kube-proxy goes, where each look at it finds this. */
async function commit(
  looks: readonly (readonly Difference[])[],
): Promise<{ kind: string; journal: readonly string[] }> {
  const journal: string[] = [];
  const left = [...looks];
  const mode = {
    takeAffinityOf: () => Promise.resolve({ taken: 0, leftOut: 0 }),
    follow: () => Promise.resolve(journal.push('follow')),
    verify: () => {
      journal.push('verify');
      return Promise.resolve(left.shift() ?? assert.fail());
    },
  };
  const silent = { info: () => undefined, warn: () => undefined };
  const ground: Partial<SwitchGround> = {
    open: () => mode as unknown as ProgrammedMode,
    servicePorts: () => new Map(),
    kubeProxy: new FakeKubeProxy(),
    log: silent as unknown as SwitchGround['log'],
  };
  const to = { revision: 'r', config: renderedConfig.parse({ mode: 'ipvs' }) };
  const attempt = startAttempt({ id: 'a', from: null, to, nowMs: 0, deadlineAtMs: null });
  const event = await performStep({ ...attempt, takesOver: true, phase: 'Commit' }, ground as SwitchGround);
  return { kind: event.kind, journal };
}

describe('a commit that removes kube-proxy', () => {
  it('puts back what went with it', async () => {
    assert.deepEqual(await commit([[], LOST, []]), {
      kind: 'stepDone',
      journal: ['follow', 'verify', 'verify', 'follow', 'verify'],
    });
  });

  it('reads the rules back once more where nothing did', async () => {
    assert.deepEqual(await commit([[], []]), { kind: 'stepDone', journal: ['follow', 'verify', 'verify'] });
  });

  it('fails where that does not come back, or was not there before', async () => {
    assert.equal((await commit([[], LOST, LOST])).kind, 'stepFailed');
    const neverThere = { kind: 'stepFailed', journal: ['follow', 'verify', 'follow', 'verify'] };
    assert.deepEqual(await commit([LOST, LOST]), neverThere);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProgrammedMode } from '../../../../src/agent/services/programmed-mode.ts';
import { performStep, type SwitchGround } from '../../../../src/agent/switch/switch-steps.ts';
import { renderedConfig } from '../../../../src/core/api/node-proxy-state.ts';
import type { ImplementedMode } from '../../../../src/core/mode.ts';
import { startAttempt, type Serving } from '../../../../src/core/node/mode-switch.ts';
import { KernelError } from '../../../../src/kernel/error.ts';

const serving = (mode: ImplementedMode): Serving => ({ revision: mode, config: renderedConfig.parse({ mode }) });
const SILENT = { info: () => undefined, warn: () => undefined };

/** What is done to the old mode on the way back to it, when so many attempts at giving it its memory fail first. */
async function wayBack(refusals: number, tryMs = 0): Promise<readonly string[]> {
  const journal: string[] = [];
  let left = refusals;
  let nowMs = 0;
  const modes = {
    iptables: {
      takeAffinityFrom: () => {
        nowMs += tryMs;
        left -= 1;
        if (left >= 0) throw new KernelError({ operation: 'write', object: 'recent list', retryable: true });
        journal.push('remember');
        return Promise.resolve({ taken: 1, leftOut: 0 });
      },
      markStale: () => undefined,
      follow: () => Promise.resolve(journal.push('follow')),
      verify: () => Promise.resolve([]),
    },
    ipvs: { remove: () => Promise.resolve(journal.push('remove the other')), dataplane: { close: () => undefined } },
    nftables: {},
  };
  const ground: Partial<SwitchGround> = {
    open: ({ config: { mode } }) => modes[mode] as unknown as ProgrammedMode,
    drop: () => undefined,
    servicePorts: () => new Map(),
    unprepare: () => Promise.resolve(),
    clock: {
      now: () => nowMs,
      monotonicMs: () => nowMs,
      sleep: (delayMs) => {
        nowMs += delayMs;
        return Promise.resolve();
      },
    },
    log: SILENT as unknown as SwitchGround['log'],
  };
  const attempt = startAttempt({
    ...{ id: 'a', from: serving('iptables'), to: serving('ipvs'), nowMs: 0, deadlineAtMs: null },
  });
  const event = await performStep({ ...attempt, phase: 'RollingBack' }, ground as SwitchGround);
  assert.equal(event.kind, 'stepDone');
  return journal;
}

describe('the way back to a mode', () => {
  it('gives it its memory of clients before its first packet, as often as that has to be tried', async () => {
    assert.deepEqual(await wayBack(0), ['remember', 'follow', 'remember', 'remove the other']);
    assert.deepEqual(await wayBack(12), ['remember', 'follow', 'remember', 'remove the other']);
  });

  it('is gone without that where it cannot be done, and without waiting for long', async () => {
    assert.deepEqual(await wayBack(1_000), ['follow', 'remove the other']);
    assert.deepEqual(await wayBack(2, 6_000), ['follow', 'remove the other']);
  });
});

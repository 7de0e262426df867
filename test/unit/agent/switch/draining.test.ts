import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Draining } from '../../../../src/agent/switch/draining.ts';
import type { DrainEnd } from '../../../../src/kernel/ipvs/drain.ts';
import { silentLog } from '../../../../src/support/log.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

const DEADLINE_MS = 60_000;

const ENDS: readonly { readonly name: string; readonly end: DrainEnd; readonly events: readonly string[] }[] = [
  { name: 'the last connection has ended', end: 0, events: [] },
  { name: 'the deadline has passed', end: 3, events: ['ConnectionsCutOff'] },
  { name: 'IPVS mode serves again', end: 'stopped', events: [] },
  { name: 'the rest cannot be removed', end: new Error('EPERM'), events: [] },
];

describe('a mode that drains', () => {
  for (const { name, end, events } of ENDS) {
    it(`is said with its deadline until ${name}`, () => {
      const clock = new FakeClock();
      const said: string[] = [];
      let changes = 0;
      const draining = new Draining({
        deadlineMs: () => DEADLINE_MS,
        clock,
        log: silentLog,
        say: ({ reason }) => said.push(reason),
        onChange: () => (changes += 1),
      });
      const options = draining.options();
      assert.deepEqual([options.deadlineMs, draining.view], [DEADLINE_MS, null]);
      options.onStart?.(3);
      const sinceMs = clock.now();
      assert.deepEqual(draining.view, { mode: 'ipvs', sinceMs, deadlineAtMs: sinceMs + DEADLINE_MS });
      options.onEnd?.(end);
      assert.deepEqual([draining.view, said, changes], [null, events, 2]);
    });
  }
});

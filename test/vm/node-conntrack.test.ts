import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

// Not in CI: one of ten boots was seen whose agent was not Ready within two minutes, and why is not known yet.
if (process.env['SWITCHYARD_CONNTRACK'] === 'all') {
  describe('a conntrack table that fills up', () => {
    testInsideVm({ name: 'on a real kernel', files: ['node-conntrack.ts'], deadlineMs: 400_000 });
  });
}

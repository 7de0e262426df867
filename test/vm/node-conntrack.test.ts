import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

describe('a conntrack table that fills up', () => {
  testInsideVm({ name: 'on a real kernel', files: ['node-conntrack.ts'], deadlineMs: 400_000 });
});

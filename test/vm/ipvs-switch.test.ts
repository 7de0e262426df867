import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

describe('an agent in IPVS mode', () => {
  testInsideVm({
    name: 'on a real kernel',
    files: ['ipvs-repair.ts', 'ipvs-switch.ts'],
    modules: ['nf_conntrack'],
    isCompiled: true,
    // About ten minutes; much longer where other work shares the processors.
    deadlineMs: 2_400_000,
  });
});

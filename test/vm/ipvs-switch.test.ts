import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

describe('an agent in IPVS mode', () => {
  testInsideVm({
    name: 'on a real kernel',
    files: ['ipvs-repair.ts', 'ipvs-switch.ts'],
    modules: ['nf_conntrack'],
    deadlineMs: 900_000,
  });
});

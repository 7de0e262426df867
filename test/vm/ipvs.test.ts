import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

describe('IPVS', () => {
  testInsideVm({
    name: 'on a real kernel',
    files: [
      'clients.ts',
      'ipvs-services.ts',
      'ipvs-changes.ts',
      'ipvs-templates.ts',
      'ipvs-affinity.ts',
      'ipvs-limits.ts',
    ],
    modules: ['ip_vs'],
    deadlineMs: 580_000,
  });
});

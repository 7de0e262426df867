import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

/** One machine for what is short: to boot one takes longer than most of these. */
describe('a virtual machine', () => {
  testInsideVm({
    name: 'is a ground for tests, of IPVS and of a node of its own',
    files: [
      'ground.ts',
      'node-conntrack.ts',
      'clients.ts',
      'ipvs-services.ts',
      'ipvs-changes.ts',
      'ipvs-templates.ts',
      'ipvs-affinity.ts',
      'ipvs-limits.ts',
    ],
    modules: ['ip_vs'],
    deadlineMs: 900_000,
  });
});

import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

// Minutes where other work shares the processors: more than CI has.
if (Number(process.env['SWITCHYARD_IPVS_HOSTILITY'] ?? 0) > 0) {
  describe('IPVS mode in bad company', () => {
    testInsideVm({
      name: 'on a real kernel',
      files: ['ipvs-hostility.ts'],
      modules: ['nf_conntrack', 'ip_vs'],
      deadlineMs: 900_000,
    });
  });
}

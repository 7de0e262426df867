import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

// Several minutes where other work shares the processors: more than CI has.
if (process.env['SWITCHYARD_TAKEOVERS'] === 'all') {
  describe('kube-proxy with IPVS', () => {
    testInsideVm({
      name: 'on a real kernel',
      files: ['kube-proxy.ts'],
      modules: ['nf_conntrack', 'ip_vs'],
      deadlineMs: 900_000,
    });
  });
}

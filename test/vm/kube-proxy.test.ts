import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

describe('kube-proxy and IPVS', () => {
  testInsideVm({
    name: 'on a real kernel',
    files: ['kube-proxy.ts'],
    modules: ['nf_conntrack', 'ip_vs'],
    deadlineMs: 900_000,
  });
});

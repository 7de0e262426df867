import { describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

describe('in a virtual machine', () => {
  testInsideVm({
    name:
      process.env['SWITCHYARD_PACKET_MODES'] === 'all'
        ? 'the packet table holds in all modes'
        : 'the packet table holds in IPVS mode',
    files: ['packet-table.ts'],
    modules: ['nf_conntrack', 'ip_vs'],
    memoryMb: 2_560,
    // A few minutes; much longer where other work shares the processors.
    deadlineMs: 1_500_000,
  });
});

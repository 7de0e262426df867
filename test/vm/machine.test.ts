import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SandboxError } from '../../src/sandbox/net/error.ts';
import { runInVm, VmUnavailable, type VmResult, type VmRun } from '../../src/sandbox/vm/vm.ts';
import { testInsideVm } from './inside-tests.ts';

describe('a virtual machine', () => {
  // One for all that is short: to boot one takes longer than most of these.
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

  it('is killed at its deadline', async (t) => {
    const outcome = await attempt({ argv: ['sleep', '600'], deadlineMs: 1_000 });
    if (outcome instanceof VmUnavailable) return t.skip(outcome.message);
    assert.ok(outcome instanceof SandboxError, 'it ended before its deadline');
    assert.equal(outcome.fault, 'timed-out');
  });
});

async function attempt(run: VmRun): Promise<VmResult | Error> {
  try {
    return await runInVm(run);
  } catch (error) {
    return error as Error;
  }
}

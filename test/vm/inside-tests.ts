import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { runInVm, VmUnavailable, type VmRun } from '../../src/sandbox/vm/vm.ts';
import { RESULT_MARK, type VmTestResult } from './reporter.ts';

export interface InsideTests extends Omit<VmRun, 'argv' | 'onOutput'> {
  readonly name: string;
  /** Test files below test/vm/inside; they run in one process, one after the other. */
  readonly files: readonly string[];
  /** For minutes of the same: to what is short, machine code costs more than it brings, since that is emulated, too. */
  readonly isCompiled?: boolean;
}

/**
 * Boots one virtual machine, runs the test files in it, and reports each of their tests as a test here. Where no machine
 * can be had the test is skipped with the reason.
 */
export function testInsideVm({ name, files, isCompiled = false, ...run }: InsideTests): void {
  it(name, async (t) => {
    const reporter = ['--test-reporter=./test/vm/reporter.ts', '--test-isolation=none'];
    // How long the long forms are.
    const settings = Object.entries(process.env).filter(([key]) => key.startsWith('SWITCHYARD_'));
    const options = isCompiled ? [] : [['NODE_OPTIONS', '--jitless']];
    const env = ['env', ...[...settings, ...options].map(([key, value]) => `${key}=${value}`)];
    const argv = [...env, 'node', '--test', ...reporter, ...files.map((file) => `test/vm/inside/${file}`)];
    const outcome = await runInVm({ argv, ...run }).catch((error: unknown) => {
      if (error instanceof VmUnavailable) return error;
      throw error;
    });
    if (outcome instanceof VmUnavailable) return t.skip(outcome.message);
    const { results, rest } = parseOutput(outcome.output);
    if (rest !== '') t.diagnostic(rest);
    assert.ok(results.length > 0, `no test ran inside; exit code ${outcome.code}`);
    for (const result of results) await mirror(t, result);
    const hasFailed = results.some(({ failure }) => failure !== null);
    assert.equal(outcome.code === 0, !hasFailed, `exit code ${outcome.code} does not fit the results`);
  });
}

async function mirror(parent: TestContext, { path, milliseconds, skipped, failure }: VmTestResult): Promise<void> {
  await parent.test(`${path.join(' > ')} (${milliseconds} ms inside)`, (t) => {
    if (skipped !== null) t.skip(skipped);
    if (failure !== null) throw new Error(failure);
  });
}

function parseOutput(output: string): { readonly results: readonly VmTestResult[]; readonly rest: string } {
  const results: VmTestResult[] = [];
  const rest: string[] = [];
  for (const line of output.split('\n')) {
    const at = line.indexOf(RESULT_MARK);
    if (at === -1) rest.push(line);
    else results.push(JSON.parse(line.slice(at + RESULT_MARK.length)) as VmTestResult);
  }
  return { results, rest: rest.join('\n').trim() };
}

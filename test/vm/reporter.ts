import type { TestEvent } from 'node:test/reporters';

/** One test that ran inside the virtual machine, as one line of JSON. */
export interface VmTestResult {
  /** The names of the suites around it and its own. */
  readonly path: readonly string[];
  readonly milliseconds: number;
  readonly skipped: string | null;
  readonly failure: string | null;
}

export const RESULT_MARK = 'vm-test ';

function failureOf(error: Error | undefined): string {
  const cause = error?.cause instanceof Error ? error.cause : error;
  return cause?.stack ?? cause?.message ?? 'unknown';
}

/** For `node --test --test-reporter`: a marked line per test. Suites are named only when they fail by themselves. */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const names: string[] = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') names.splice(data.nesting, Infinity, data.name);
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const error = type === 'test:fail' ? data.details.error : undefined;
    const isSuite = data.details.type === 'suite';
    const hasOwnFailure = error !== undefined && (error as { failureType?: string }).failureType !== 'subtestsFailed';
    if (isSuite && !hasOwnFailure) continue;
    const result: VmTestResult = {
      path: [...names.slice(0, data.nesting), data.name],
      milliseconds: Math.round(data.details.duration_ms),
      skipped: data.skip === undefined || data.skip === false ? null : String(data.skip),
      failure: error === undefined ? null : failureOf(error),
    };
    yield `${RESULT_MARK}${JSON.stringify(result)}\n`;
  }
}

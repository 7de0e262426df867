// run-tests.ts machines | others | FILE or pattern...: runs test files. `machines` are those that keep a virtual machine busy for
// long, one after the other; `others` all else but the units, which need no process each.
import { globSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** For two cores: a starved test tells nothing. */
const FILES_AT_ONCE = 2;
const MACHINES = ['test/vm/ipvs-switch.test.ts', 'test/vm/node-life.test.ts'];

const sets = new Map([
  ['machines', () => ({ files: MACHINES, concurrency: 1 })],
  ['others', () => ({ files: others(), concurrency: FILES_AT_ONCE })],
]);

/**
 * Virtual machines after what is long: beside the long ones there is not enough of two cores for them. What is short, or
 * waits most of its time, comes last and fills what they leave.
 */
const FILLING = ['test/e2e/trace-live', 'test/kernel/', 'test/packet-table/', 'test/trace/'];

function others(): string[] {
  const files = globSync('test/**/*.test.ts', { exclude: ['test/unit/**', ...MACHINES] }).sort();
  const isMachine = (file: string): boolean => file.startsWith('test/vm/');
  const isFilling = (file: string): boolean => FILLING.some((start) => file.startsWith(start));
  const long = files.filter((file) => !isMachine(file) && !isFilling(file));
  return [...long, ...files.filter(isMachine), ...files.filter(isFilling)];
}

const patterns = process.argv.slice(2);
const set = sets.get(patterns[0] ?? '');
const { files, concurrency } = set?.() ?? { files: globSync(patterns), concurrency: FILES_AT_ONCE };
if (files.length === 0) {
  console.error(`run-tests: no file is called ${patterns.join(' or ')}`);
  process.exit(1);
}
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
run({ files, concurrency, signal: stop.signal })
  .on('test:fail', () => (process.exitCode = 1))
  .compose(spec)
  .pipe(process.stdout);

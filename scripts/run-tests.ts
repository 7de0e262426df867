// run-tests.ts machines | others | FILE or pattern...: runs test files. `machines` are those that boot a virtual machine, one
// after the other; `others` all else but the units, which need no process each.
import { globSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** For two cores: a starved test tells nothing. */
const FILES_AT_ONCE = 2;
/** What boots a virtual machine, the longest first. */
const MACHINES = 'test/vm/*.test.ts';
const LONGEST = 'test/vm/ipvs-switch.test.ts';

const sets = new Map([
  ['machines', () => ({ files: [LONGEST, ...globSync(MACHINES, { exclude: [LONGEST] }).sort()], concurrency: 1 })],
  ['others', () => ({ files: others(), concurrency: FILES_AT_ONCE })],
]);

function others(): string[] {
  return globSync('test/**/*.test.ts', { exclude: ['test/unit/**', MACHINES] }).sort();
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

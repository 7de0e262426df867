// run-tests.ts [FILE or pattern...]: runs test files; without arguments all but the units, which need no process each.
import { globSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** For two cores: a starved test tells nothing, and what is paced by time takes more of a machine that is slow. */
const FILES_AT_ONCE = 2;
/** Minutes: who begins it last waits for it alone. */
const LONGEST = 'test/vm/ipvs-switch.test.ts';

/** Those in a virtual machine need a processor each all the time, the others wait now and then: one beside the other. */
function inOrder(files: readonly string[]): readonly string[] {
  const machines = files.filter((file) => file.startsWith('test/vm/') && file !== LONGEST);
  const others = files.filter((file) => !file.startsWith('test/vm/'));
  const share = Math.ceil(others.length / (machines.length + 1));
  const mixed = machines.flatMap((machine, index) => [...others.slice(index * share, (index + 1) * share), machine]);
  return [...files.filter((file) => file === LONGEST), ...mixed, ...others.slice(machines.length * share)];
}

const patterns = process.argv.slice(2);
const files =
  patterns.length > 0
    ? globSync(patterns)
    : inOrder(globSync('test/**/*.test.ts', { exclude: ['test/unit/**'] }).sort());
if (files.length === 0) {
  console.error(`run-tests: no file is called ${patterns.join(' or ')}`);
  process.exit(1);
}
run({ files: [...files], concurrency: FILES_AT_ONCE })
  .on('test:fail', () => (process.exitCode = 1))
  .compose(spec)
  .pipe(process.stdout);

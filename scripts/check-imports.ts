// Fails when a file of src/ imports against the directions that ARCHITECTURE.md draws.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const SOURCE = new URL('../src/', import.meta.url).pathname;
/** Says the version, and is no layer. */
const MANIFEST = new URL('../package.json', import.meta.url).pathname;

/** Layer -> layers it may import beside itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  plan: ['core'],
  support: [],
  kernel: ['plan', 'core', 'support'],
  kube: ['core', 'support'],
  agent: ['plan', 'core', 'kernel', 'kube', 'support'],
  controllers: ['core', 'kube', 'support'],
  sandbox: ['core', 'kube', 'support'],
  // The command line starts everything, each part only when it is asked for.
  cli: ['agent', 'controllers', 'sandbox', 'core', 'plan', 'kernel', 'kube', 'support'],
};

const IMPORT = /(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g;

function sourceFiles(): string[] {
  const entries = readdirSync(SOURCE, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

function layerOf(file: string): string {
  return relative(SOURCE, file).split('/')[0] ?? '';
}

const problems: string[] = [];
for (const file of sourceFiles()) {
  const from = layerOf(file);
  const allowed = MAY_IMPORT[from];
  if (allowed === undefined)
    problems.push(`${relative(SOURCE, file)}: the folder ${from} is no layer of ARCHITECTURE.md`);
  for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
    const to = resolve(dirname(file), target);
    if (to === MANIFEST) continue;
    const layer = layerOf(to);
    const isOutside = !to.startsWith(SOURCE);
    if (isOutside || (layer !== from && allowed?.includes(layer) === false)) {
      problems.push(
        `${relative(SOURCE, file)} imports ${target}: ${from} may import only ${allowed?.join(', ') || 'itself'}`,
      );
    }
  }
}

for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

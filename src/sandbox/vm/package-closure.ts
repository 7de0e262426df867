import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Lockfile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}
interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The npm packages that `roots` need, themselves included, as folders below `project`. */
export function packageClosure(project: string, roots: readonly string[]): string[] {
  const { packages } = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')) as Lockfile;
  const found = new Set<string>();
  const add = (name: string, from: string): void => {
    const folder = resolve(packages, name, from);
    if (folder === undefined || found.has(folder)) return;
    found.add(folder);
    const { dependencies = {}, optionalDependencies = {} } = packages[folder] ?? {};
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) add(needed, folder);
  };
  for (const root of roots) add(root, '');
  return [...found].sort();
}

/** As Node looks a package up: beside the one that needs it, then further out. */
function resolve(packages: Lockfile['packages'], name: string, from: string): string | undefined {
  const candidate = from === '' ? `node_modules/${name}` : `${from}/node_modules/${name}`;
  if (packages[candidate] !== undefined) return candidate;
  if (from === '') return undefined;
  return resolve(packages, name, from.slice(0, Math.max(0, from.lastIndexOf('node_modules/') - 1)));
}

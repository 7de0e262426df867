// pack-application.ts FOLDER: makes the bundle that controller and agents run, and copies of the installed packages what the source
// of these imports, for what is loaded from there and for their terms. The demo and its API server stay behind.
import { cpSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { bundle } from './bundle.ts';

const PROJECT = new URL('..', import.meta.url).pathname;
const MODULES = join(PROJECT, 'node_modules');
const LEFT_OUT = [join('src', 'sandbox'), join('src', 'cli', 'demo.ts')];
/** The runtime is copied by itself. */
const RUNTIME = 'node';
const IMPORT = /(?:\bfrom |\bimport |\bimport\()'([^'.][^']*)'/g;
/** Licences stay: what is passed on is passed on with its terms. */
const USELESS = /(\.(map|d\.[cm]?ts|flow|tsbuildinfo)|(^|\/)(?!licen[cs]e)[^/]*\.(md|markdown)|(^|\/)CHANGELOG[^/]*)$/i;
const USELESS_FOLDERS = ['test', 'tests', '__tests__', 'docs', 'doc', 'example', 'examples', 'bench', 'benchmarks'];

interface Package {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const target = process.argv[2];
if (target === undefined) throw new Error('pack-application.ts FOLDER');

function isOurs(path: string): boolean {
  const inside = relative(PROJECT, path);
  return !LEFT_OUT.some((left) => inside === left || inside.startsWith(`${left}${sep}`));
}

function packageName(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

function importedPackages(): string[] {
  const found = new Set<string>();
  for (const entry of readdirSync(join(PROJECT, 'src'), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || !entry.name.endsWith('.ts') || !isOurs(path)) continue;
    for (const [, name = ''] of readFileSync(path, 'utf8').matchAll(IMPORT)) {
      if (!name.startsWith('node:')) found.add(packageName(name));
    }
  }
  return [...found];
}

/** As Node resolves a package from another's folder. */
function folderOf(name: string, from: string): string | undefined {
  for (let at = from; at.startsWith(MODULES) || at === PROJECT; at = join(at, '..')) {
    const folder = join(at, 'node_modules', name);
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (at === PROJECT) break;
  }
  const folder = join(MODULES, name);
  return existsSync(join(folder, 'package.json')) ? folder : undefined;
}

/** The folders of these packages and of all that they depend on, nested ones as part of what they are nested in. */
function closure(names: readonly string[]): Set<string> {
  const folders = new Set<string>();
  const visit = (name: string, from: string, isOptional: boolean): void => {
    const folder = folderOf(name, from);
    if (folder === undefined) {
      if (isOptional) return;
      throw new Error(`${name}, which ${relative(PROJECT, from) || 'src'} needs, is not installed`);
    }
    if (folders.has(folder)) return;
    folders.add(folder);
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    ) as Package;
    for (const each of Object.keys(dependencies)) visit(each, folder, each in optionalDependencies);
    for (const each of Object.keys(optionalDependencies)) visit(each, folder, true);
  };
  for (const name of names) if (name !== RUNTIME) visit(name, PROJECT, false);
  return folders;
}

function isUseful(path: string, folder: string): boolean {
  const inside = relative(folder, path);
  if (inside === '') return true;
  if (statSync(path).isDirectory()) {
    const name = inside.split(sep).at(-1) ?? '';
    return name !== 'node_modules' && !USELESS_FOLDERS.includes(name) && name !== 'musl_x64' && name !== 'musl_arm64';
  }
  return !USELESS.test(inside);
}

for (const file of ['package.json', 'LICENSE']) cpSync(join(PROJECT, file), join(target, file));
await bundle(resolve(target, 'dist'));
for (const folder of closure(importedPackages())) {
  const place = join(target, 'node_modules', relative(MODULES, folder));
  cpSync(folder, place, { recursive: true, dereference: true, filter: (path) => isUseful(path, folder) });
}

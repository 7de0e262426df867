// Writes crds/*.yaml and docs/api.md from the zod schemas, and the former into the chart as well, which cannot refer to
// files outside of itself. `--check` writes nothing and fails when a file differs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { customResourceDefinitions } from '../src/core/api/crd.ts';
import { apiReference } from './api-reference.ts';

const HEADER = '# Generated from src/core/api by `npm run crds`; do not edit.\n';
const FOLDERS = ['crds', 'charts/switchyard/crds'];
const check = process.argv.includes('--check');
const stale: string[] = [];

function put(file: string, text: string): void {
  const path = new URL(`../${file}`, import.meta.url);
  if (!check) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) stale.push(file);
}

const definitions = customResourceDefinitions();
for (const [file, definition] of Object.entries(definitions)) {
  const text = HEADER + stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false });
  for (const folder of FOLDERS) put(`${folder}/${file}`, text);
}
put('docs/api.md', apiReference(Object.values(definitions)));

if (stale.length > 0) {
  console.error(`${stale.join(', ')} differ from the schemas; run: npm run crds`);
  process.exitCode = 1;
}

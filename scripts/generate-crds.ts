// Writes crds/*.yaml from the zod schemas, and the same into the chart, which cannot refer to files outside of itself. `--check` writes nothing and fails when a file differs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { customResourceDefinitions } from '../src/core/api/crd.ts';

const HEADER = '# Generated from src/core/api by `npm run crds`; do not edit.\n';
const FOLDERS = ['crds', 'charts/switchyard/crds'];
const check = process.argv.includes('--check');
const stale: string[] = [];

for (const [file, definition] of Object.entries(customResourceDefinitions())) {
  const text = HEADER + stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false });
  for (const folder of FOLDERS) {
    const path = new URL(`../${folder}/${file}`, import.meta.url);
    if (!check) writeFileSync(path, text);
    else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) stale.push(`${folder}/${file}`);
  }
}

if (stale.length > 0) {
  console.error(`${stale.join(', ')} differ from the schemas; run: npm run crds`);
  process.exitCode = 1;
}

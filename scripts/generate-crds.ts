// Writes crds/*.yaml from the zod schemas. `--check` writes nothing and fails when a file differs.
import { readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { customResourceDefinitions } from '../src/core/api/crd.ts';

const HEADER = '# Generated from src/core/api by `npm run crds`; do not edit.\n';
const check = process.argv.includes('--check');
const stale: string[] = [];

for (const [file, definition] of Object.entries(customResourceDefinitions())) {
  const path = new URL(`../crds/${file}`, import.meta.url);
  const text = HEADER + stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false });
  if (!check) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) stale.push(file);
}

if (stale.length > 0) {
  console.error(`crds/${stale.join(', crds/')} differ from the schemas; run: npm run crds`);
  process.exitCode = 1;
}

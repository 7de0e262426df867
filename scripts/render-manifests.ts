// Writes deploy/switchyard.yaml and docs/values.md from the chart. Needs Go and sprig; see scripts/with-setup.sh. Tests compare
// both.
import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { ChartRenderer } from '../test/chart/chart-renderer.ts';
import { kustomizeBase } from '../test/chart/kustomize-base.ts';
import { valuesReference } from './values-reference.ts';

const renderer = new ChartRenderer();
try {
  writeFileSync(new URL('../deploy/switchyard.yaml', import.meta.url), await kustomizeBase(renderer));
} finally {
  await renderer.close();
}

const chart = new URL('../charts/switchyard/', import.meta.url);
const schema = JSON.parse(readFileSync(new URL('values.schema.json', chart), 'utf8')) as object;
const values = parse(readFileSync(new URL('values.yaml', chart), 'utf8')) as object;
writeFileSync(new URL('../docs/values.md', import.meta.url), valuesReference(schema, values));

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { CHART } from './chart-renderer.ts';

/** The CustomResourceDefinitions that helm installs before the chart. */
export function readDefinitions(): Record<string, unknown>[] {
  const folder = join(CHART, 'crds');
  return readdirSync(folder).map((name) => parse(readFileSync(join(folder, name), 'utf8')) as Record<string, unknown>);
}

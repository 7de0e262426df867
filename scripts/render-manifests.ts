// Writes deploy/switchyard.yaml from the chart. Needs Go and sprig; see scripts/with-setup.sh. A test compares the two.
import { writeFileSync } from 'node:fs';
import { ChartRenderer } from '../test/chart/chart-renderer.ts';
import { kustomizeBase } from '../test/chart/kustomize-base.ts';

const renderer = new ChartRenderer();
try {
  writeFileSync(new URL('../deploy/switchyard.yaml', import.meta.url), await kustomizeBase(renderer));
} finally {
  await renderer.close();
}
